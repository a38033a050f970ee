"""The cache: the same tensors come back, a damaged file does no harm, and nobody builds twice."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from grokprobe import cache
from grokprobe.cache import cache_directory, load_or_build
from grokprobe.errors import GrokprobeWarning

KEY = {"size": 16, "name": "ß", "list": [1, 2.5]}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    """Makes tensors, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        spins = torch.arange(60, dtype=torch.int8).reshape(3, 4, 5)
        return {"spins": spins, "flags": spins[0, 0] > 2, "view": spins.transpose(0, 2), "empty": torch.ones(0, 3)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def stored(directory):
    (path,) = directory.glob("*.safetensors")
    return path


def test_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "own"
    monkeypatch.setenv("GROKPROBE_CACHE", "")
    assert cache_directory() == tmp_path / "xdg" / "grokprobe"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_directory() == tmp_path / ".cache" / "grokprobe"


def test_built_once(directory):
    build = Builder()
    first = load_or_build("spins", KEY, build)
    again = load_or_build("spins", dict(reversed(KEY.items())), build)
    assert build.calls == 1
    assert_same(first, Builder()())
    assert_same(again, Builder()())
    assert not list(directory.glob("*.partial"))


def test_file_says_what_it_is(directory):
    load_or_build("spins", KEY, Builder())
    path = stored(directory)
    assert path.name.startswith("spins-")
    assert len(path.stem) == len("spins-") + 16
    with safe_open(path, framework="pt") as file:
        (description,) = file.metadata().values()
    assert json.loads(description)["key"] == KEY


@pytest.mark.parametrize("other", [("spins", KEY | {"size": 17}), ("other", KEY), ("spins", {"size": 16})])
def test_another_key_is_another_file(directory, other):
    build = Builder()
    load_or_build("spins", KEY, build)
    load_or_build(*other, build)
    assert build.calls == 2
    assert len(list(directory.glob("*.safetensors"))) == 2


def flip_bit(position):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)

    return damage


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def hold_another_key(path):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(
        Builder()() | {"view": torch.ones(1)},
        path,
        metadata={name: text.replace("16", "17") for name, text in metadata.items()},
    )


def hold_no_metadata(path):
    save_file({"spins": torch.ones(1)}, path)


@pytest.mark.parametrize(
    "damage",
    [
        flip_bit(-1),
        flip_bit(0),
        flip_bit(7),
        flip_bit(9),
        truncate,
        hold_another_key,
        hold_no_metadata,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a tensor in sight"),
    ],
)
def test_damaged_file_is_replaced(directory, damage):
    load_or_build("spins", KEY, Builder())
    path = stored(directory)
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    build = Builder()
    with pytest.warns(GrokprobeWarning, match="expected a cache file of grokprobe, found a damaged one") as warned:
        found = load_or_build("spins", KEY, build)
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    assert build.calls == 1
    assert_same(found, Builder()())
    assert path.read_bytes() == whole


def test_every_flipped_bit_is_noticed(directory):
    load_or_build("spins", KEY, Builder())
    path = stored(directory)
    whole = path.read_bytes()
    canonical = json.dumps(KEY, sort_keys=True, separators=(",", ":"))
    assert cache._load(path, canonical, warn=False) is not None
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        found = cache._load(path, canonical, warn=False)
        if found is not None:
            assert_same(found, Builder()())  # a letter of the padding


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(
        GrokprobeWarning, match="expected a directory that can be written, found: .*; set GROKPROBE_CACHE"
    ):
        assert_same(load_or_build("spins", KEY, Builder()), Builder()())


def test_full_disk(directory, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(GrokprobeWarning, match="found: No space left on device; the result is not kept"):
        assert_same(load_or_build("spins", KEY, Builder()), Builder()())
    assert not list(directory.glob("*.safetensors"))


def test_read_only_directory_serves_what_it_has(directory, monkeypatch):
    load_or_build("spins", KEY, Builder())
    monkeypatch.setattr(cache, "FileLock", None)  # nothing is locked to read
    build = Builder()
    assert_same(load_or_build("spins", KEY, build), Builder()())
    assert build.calls == 0


def test_error_of_the_builder_is_the_caller_s(directory):
    def fail():
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        load_or_build("spins", KEY, fail)
    assert load_or_build("spins", KEY, Builder())  # the lock was given back


def test_killed_writer_leaves_no_harm(directory, monkeypatch):
    def kill(descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", kill)
        with pytest.raises(KeyboardInterrupt):
            load_or_build("spins", KEY, Builder())
    assert not list(directory.glob("*.safetensors"))
    assert_same(load_or_build("spins", KEY, Builder()), Builder()())
    assert not list(directory.glob("*.partial"))


def test_two_at_a_time_build_once(directory):
    build = Builder()
    together = threading.Barrier(2)

    def slowly():
        time.sleep(0.2)  # the other comes and waits
        return build()

    def load(_):
        together.wait()
        return load_or_build("spins", KEY, slowly)

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(load, range(2)):
            assert_same(found, Builder()())
    assert build.calls == 1
