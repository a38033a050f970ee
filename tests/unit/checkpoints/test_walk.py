import os
from pathlib import Path

import pytest

from grokprobe.checkpoints.walk import natural_key, walk_tree
from grokprobe.errors import UsageError


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(tree):
    return [str(file.relative_to(tree.root)) for directory in tree.directories for file in directory.files]


def test_natural_order(tmp_path):
    touch(*(tmp_path / f"scale_{scale}" / f"{epoch}.pt" for scale in (10, 2) for epoch in (100, 20, 3)))
    assert names(walk_tree(tmp_path)) == [f"scale_{scale}/{epoch}.pt" for scale in (2, 10) for epoch in (3, 20, 100)]


def test_equal_numbers_written_differently_have_an_order():
    paths = [Path("a01"), Path("a1"), Path("1a"), Path("a"), Path("-")]
    assert [path.name for path in sorted(paths, key=natural_key)] == ["1a", "-", "a", "a01", "a1"]


def test_ignored(tmp_path):
    touch(tmp_path / "a.pt", tmp_path / "b.pt.partial", tmp_path / ".hidden.pt", tmp_path / ".git" / "c.pt")
    touch(tmp_path / "results" / "zarr.json", tmp_path / "results" / "probes" / "d.pt", tmp_path / "old" / ".zgroup")
    assert names(walk_tree(tmp_path)) == ["a.pt"]


def test_loops_of_links_end_and_real_names_win(tmp_path):
    touch(tmp_path / "z_run" / "1.pt")
    (tmp_path / "a_latest").symlink_to(tmp_path / "z_run")
    (tmp_path / "z_run" / "up").symlink_to(tmp_path)
    assert names(walk_tree(tmp_path)) == ["z_run/1.pt"]


def test_links_out_of_the_tree_are_followed(tmp_path):
    touch(tmp_path / "blobs" / "9f", tmp_path / "elsewhere" / "2.pt", tmp_path / "root" / "0.pt")
    (tmp_path / "root" / "1.pt").symlink_to(tmp_path / "blobs" / "9f")
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    assert names(walk_tree(tmp_path / "root")) == ["0.pt", "1.pt", "more/2.pt"]


def test_what_cannot_be_opened_or_read_is_named(tmp_path):
    (tmp_path / "dangling.pt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    os.mkfifo(tmp_path / "pipe.pt")
    tree = walk_tree(tmp_path)
    assert [file.path.name for file in tree.unreadable] == ["dangling.pt", "self"]
    assert [(file.path.name, file.reason) for file in tree.irregular] == [("pipe.pt", "not a regular file")]


def test_one_file(tmp_path):
    touch(tmp_path / "a.pt", tmp_path / "b.pt")
    assert walk_tree(tmp_path / "a.pt").directories[0].files == (tmp_path / "a.pt",)


def test_relative_root_is_made_absolute(tmp_path, monkeypatch):
    touch(tmp_path / "run" / "1.pt")
    monkeypatch.chdir(tmp_path / "run")
    assert walk_tree(Path()).directories[0].files == (tmp_path / "run" / "1.pt",)


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match=r"expected a directory of checkpoints, found nothing at \S+/x$"):
        walk_tree(tmp_path / "x")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no files in \S+/empty$"):
        walk_tree(tmp_path / "empty")
    touch(tmp_path / "store" / "zarr.json")
    with pytest.raises(UsageError, match="found a zarr store"):
        walk_tree(tmp_path / "store")
