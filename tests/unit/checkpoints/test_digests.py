import hashlib
import os

import pytest

from grokprobe.checkpoints.digests import DigestCache, file_digest
from grokprobe.errors import CheckpointError

OLD = (10**18, 10**18)


def write_old(path, content, times=OLD):
    path.write_bytes(content)
    os.utime(path, ns=times)


def test_digest_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert file_digest(tmp_path / "x") == "sha256:" + hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert DigestCache(None).digest(tmp_path / "x") == file_digest(tmp_path / "x")


def test_remembered_while_size_and_time_stay(tmp_path):
    path, cache_file = tmp_path / "x", tmp_path / "deep" / "cache.jsonl"
    write_old(path, b"one")
    cache = DigestCache(cache_file)
    first = cache.digest(path)
    cache.save()
    write_old(path, b"two")  # same size, same time: nobody can tell, and the cache does not look
    assert DigestCache(cache_file).digest(path) == first
    write_old(path, b"two", (OLD[0], OLD[1] + 1))
    assert DigestCache(cache_file).digest(path) == file_digest(path) != first
    write_old(path, b"three")
    assert DigestCache(cache_file).digest(path) == file_digest(path)


def test_a_fresh_file_is_not_remembered(tmp_path):
    (tmp_path / "x").write_bytes(b"one")
    cache = DigestCache(tmp_path / "cache")
    cache.digest(tmp_path / "x")
    cache.save()
    assert not (tmp_path / "cache").exists()


def test_torn_rows_are_ignored(tmp_path):
    write_old(tmp_path / "x", b"one")
    cache = DigestCache(tmp_path / "cache")
    digest = cache.digest(tmp_path / "x")
    cache.save()
    with (tmp_path / "cache").open("ab") as file:
        file.write(b'[1]\n{"path": "x"}\n\xff{"path": "/y", "si')
    assert DigestCache(tmp_path / "cache").digest(tmp_path / "x") == digest


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        DigestCache(None).digest(tmp_path / "x")
    with pytest.raises(CheckpointError, match="cannot be read"):
        file_digest(tmp_path / "x")
