from pathlib import Path

import pytest

from grokprobe.errors import StoreError
from grokprobe.store import ResultsStore, open_place, open_results
from object_store_server import Bucket, elsewhere
from unit.store.published import measured_numbers, publish_small
from unit.store.small_store import BLOCK, GROUP, build_row


def test_only_what_changed_is_sent(bucket: Bucket) -> None:
    publish_small(bucket.url)
    before = bucket.object_names()
    with open_place(bucket.url) as place:
        store = ResultsStore(place.path, place.on_publish)
        store.publish()
        assert bucket.object_names() == before
        store.cube(GROUP, block=BLOCK).write((0, 1.0), {39: build_row(0.25)}, frozenset(range(39)))
        store.publish()
    # chunks of these few numbers lie in the manifest of their array: x, v and the digest hold something new
    kinds = sorted(name.split("/")[2] for name in bucket.object_names() - before)
    assert kinds == [*["manifests"] * 3, "snapshots", "transactions"]
    assert measured_numbers(open_results(bucket.url)) == [*range(39), 0.25]


def test_removed_groups_are_removed(bucket: Bucket) -> None:
    publish_small(bucket.url)
    with open_place(bucket.url) as place, ResultsStore.open(place.path, place.on_publish) as store:
        store.create_experiment("other", {})
        store.remove(GROUP)
        store.publish()
    assert set(open_results(bucket.url).groups) == {"/", "/small", "/other", "/small/probes"}


def test_deleted_files_of_the_copy_are_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    publish_small(bucket.url)
    (copy,) = (tmp_path / "cache").glob("object-stores/*/results.zarr")
    (copy / GROUP / "x" / "c" / "0" / "0" / "0").unlink()
    with open_place(bucket.url) as place:
        ResultsStore(place.path, place.on_publish).publish()
    assert measured_numbers(open_results(bucket.url)) == list(range(40))


def test_somebody_else_publishes_meanwhile(bucket: Bucket, tmp_path: Path) -> None:
    publish_small(bucket.url)
    with open_place(bucket.url) as place:
        with elsewhere(tmp_path / "second"), open_place(bucket.url) as other:
            ResultsStore(other.path).create_experiment("theirs", {})
            other.on_publish()
        ResultsStore(place.path).create_experiment("ours", {})
        with pytest.raises(StoreError, match="changed by somebody else") as raised:
            place.on_publish()
        assert (place.path / "ours").exists()
    assert raised.value.exit_code == 5
    assert set(open_results(bucket.url).children) == {"small", "theirs"}


def test_somebody_else_publishes_at_the_same_moment(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has committed when an edit begins, and somebody has when it ends."""
    from grokprobe.store.object_store import Edit

    publish_small(bucket.url)
    commit = Edit.commit

    def commit_late(edit: Edit, publication: str) -> str | None:
        monkeypatch.setattr(Edit, "commit", commit)
        with elsewhere(tmp_path / "second"), open_place(bucket.url) as other:
            ResultsStore(other.path).create_experiment("theirs", {})
            other.on_publish()
        return commit(edit, publication)

    with open_place(bucket.url) as place:
        ResultsStore(place.path).create_experiment("ours", {})
        monkeypatch.setattr(Edit, "commit", commit_late)
        with pytest.raises(StoreError, match="changed by somebody else"):
            place.on_publish()
    assert set(open_results(bucket.url).children) == {"small", "theirs"}


def test_an_answer_that_was_lost(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that came through although it was reported as none is this copy's own."""
    from grokprobe.store.object_store import Edit

    publish_small(bucket.url)
    commit = Edit.commit
    monkeypatch.setattr(Edit, "commit", lambda edit, publication: commit(edit, publication) and None)
    with open_place(bucket.url) as place:
        for name in ("first", "second"):
            ResultsStore(place.path).create_experiment(name, {})
            place.on_publish()
    assert set(open_results(bucket.url).children) == {"small", "first", "second"}


def test_one_writer_on_a_machine(bucket: Bucket) -> None:
    with open_place(bucket.url), pytest.raises(StoreError, match="written by another process") as raised:  # noqa: SIM117
        with open_place(bucket.url):
            pytest.fail("it was opened twice")
    assert raised.value.exit_code == 5
