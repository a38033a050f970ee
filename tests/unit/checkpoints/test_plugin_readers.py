"""Readers of plugins: asked last, used everywhere, and their faults cost nobody else anything."""

import dataclasses
import pickle

import pytest
import torch

from grokprobe.checkpoints import CheckpointContent, Reading, discover, read_checkpoint
from grokprobe.checkpoints.audit import audit_run
from grokprobe.checkpoints.conversion import convert
from grokprobe.errors import CheckpointError, CorruptCheckpointError, GrokprobeWarning, NotACheckpointError
from unit.checkpoints.hostile import write_unsafe
from unit.table_reader import TableReader, write_table

READING = Reading(readers=(TableReader(),))


class Greedy(TableReader):
    """Recognises everything, and notes what it is asked about."""

    asked: list[str] = []  # noqa: RUF012 - shared on purpose

    def recognises(self, path):
        self.asked.append(path.name)
        return True

    def read(self, path):
        return CheckpointContent(parameters={"w": torch.zeros(1)}, format="x")


def made(read=None, recognises=None, **fields):
    """A reader with methods of its own."""
    methods = {"read": read, "recognises": recognises}
    own = {name: lambda _self, path, do=do: do(path) for name, do in methods.items() if do is not None}
    return type("Made", (TableReader,), own)(**fields)


def test_a_run_is_discovered_audited_and_converted(tmp_path):
    (tmp_path / "run").mkdir()
    for epoch in (0, 5):
        write_table(tmp_path / "run" / f"{epoch}.txt", epoch, (epoch, 1))
    (tmp_path / "run" / "notes.txt").write_text("lr 0.1")
    found = discover(tmp_path / "run", reading=READING)
    (run,) = found.runs
    assert [(checkpoint.epoch, checkpoint.reader) for checkpoint in run.checkpoints] == [(0, "table 1"), (5, "table 1")]
    assert run.shapes == {"w": (1, 2)}
    assert [file.path.name for file in found.skipped] == ["notes.txt"]
    assert audit_run(run, reading=READING) == ()
    report = convert(tmp_path / "run", tmp_path / "out", reading=READING)
    assert (report.failures, report.runs[0].num_checkpoints) == ((), 2)
    (converted,) = discover(tmp_path / "out").runs
    assert read_checkpoint(converted.checkpoints[1].path).parameters["w"].tolist() == [[5, 1]]


def test_without_the_reader_it_is_no_checkpoint(tmp_path):
    with pytest.raises(NotACheckpointError, match="not a checkpoint"):
        read_checkpoint(write_table(tmp_path / "x", 0))


def test_what_is_recorded_of_it(tmp_path):
    content = READING.read(write_table(tmp_path / "x", 3))
    assert (content.format, content.reader, content.epoch) == ("table", "table 1", 3)
    assert read_checkpoint(tmp_path / "x", readers=READING.readers).reader == "table 1"


def test_another_version_of_the_reader_is_another_input(tmp_path):
    write_table(tmp_path / "0.txt", 0)
    versions = [
        discover(tmp_path, reading=Reading(readers=(TableReader(version=version),))).runs[0].checkpoints[0]
        for version in ("1", "2")
    ]
    first, second = (checkpoint.digest(lambda _: "sha256:0") for checkpoint in versions)
    assert (first, second) == ("sha256:0 table 1", "sha256:0 table 2")


def test_it_is_asked_last_and_never_about_what_was_refused(tmp_path):
    Greedy.asked.clear()
    torch.save({"v": torch.ones(1)}, tmp_path / "good")
    write_unsafe(tmp_path / "unsafe", tmp_path / "canary", "zip")
    (tmp_path / "corrupt").write_bytes((tmp_path / "good").read_bytes()[:300])
    (tmp_path / "empty").write_bytes(b"")
    torch.save({"state": {}, "param_groups": []}, tmp_path / "optimizer")
    (tmp_path / "text").write_text("x")
    greedy = Reading(readers=(Greedy(),))
    assert list(greedy.read(tmp_path / "good").parameters) == ["v"]
    for name in ("unsafe", "corrupt", "empty"):
        with pytest.raises(CheckpointError):
            greedy.read(tmp_path / name)
    assert Greedy.asked == []
    for name in ("optimizer", "text"):
        assert list(greedy.read(tmp_path / name).parameters) == ["w"]
    assert Greedy.asked == ["optimizer", "text"]


def test_two_that_recognise_one_file_are_an_error(tmp_path):
    readers = (TableReader(), TableReader(name="other"))
    with pytest.raises(CheckpointError, match=r"x: the readers table and other both recognise it; leave one out"):
        read_checkpoint(write_table(tmp_path / "x", 0), readers=readers)


def test_one_that_raises_when_it_is_asked_costs_only_itself(tmp_path):
    def fail(path):
        raise ZeroDivisionError("oh")

    with pytest.warns(GrokprobeWarning, match="reader 'bad' is not asked about x: it raised ZeroDivisionError: oh"):
        content = read_checkpoint(
            write_table(tmp_path / "x", 0), readers=(made(recognises=fail, name="bad"), TableReader())
        )
    assert content.format == "table"


def content_of(**tensors):
    return CheckpointContent(parameters=tensors, format="x")


#: What a reader does → the message.
FAULTS = {
    "raises": (lambda _: {}["w"], "reader 'table' raised KeyError: 'w'"),
    "two lines": (lambda _: int("a\nb"), r"reader 'table' raised ValueError: \S.*base 10: 'a\\nb'"),
    "something else": (lambda _: {"w": 1}, "reader 'table' raised AttributeError"),
    "nothing": (lambda _: content_of(), "reader 'table': expected floating-point tensors, found none"),
    "integers": (
        lambda _: content_of(w=torch.ones(2), i=torch.arange(2)),
        "reader 'table': expected floating-point tensors, found 'i' of torch.int64",
    ),
    "no file": (lambda path: path.with_name("gone").read_bytes(), "cannot be opened: No such file or directory"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_that_cannot_read_is_named(tmp_path, name):
    read, message = FAULTS[name]
    with pytest.raises(CheckpointError, match=rf"^\S+/x: {message}[^\n]*$"):
        read_checkpoint(write_table(tmp_path / "x", 0), readers=(made(read=read),))


def test_a_damaged_file_of_a_run_stays_in_the_run(tmp_path):
    write_table(tmp_path / "0.txt", 0)
    write_table(tmp_path / "1.txt", 1).write_text("table:1\nw 2 1")
    (run,) = discover(tmp_path, reading=READING).runs
    assert [checkpoint.problem for checkpoint in run.checkpoints] == [
        "",
        "expected an epoch and a last line, found others",
    ]


def test_workers_read_likewise(tmp_path):
    again = pickle.loads(pickle.dumps(dataclasses.replace(READING, state_dict_key="a.b")))  # noqa: S301 - our own
    assert again.state_dict_key == "a.b"
    assert again.read(write_table(tmp_path / "x", 0)).format == "table"


def test_a_corrupt_file_is_one_whatever_the_reader_raises(tmp_path):
    with pytest.raises(CorruptCheckpointError):
        read_checkpoint(write_table(tmp_path / "x", 0), readers=(made(read=lambda _: 1 / 0),))
