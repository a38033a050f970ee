"""Every law of a reader can be seen to be broken."""

import os
import pickle

import pytest
import torch

from grokprobe.checkpoints import CheckpointContent
from grokprobe.errors import CorruptCheckpointError
from grokprobe.testing import ConformanceError, check_reader
from unit.table_reader import TableReader, write_table


class Changed(TableReader):
    """A reader whose content is changed after reading."""

    def read(self, path):
        return self.change(super().read(path), path)

    def change(self, content, path):
        raise NotImplementedError


class ByName(TableReader):
    def recognises(self, path):
        return path.suffix == ".table"


class Blind(TableReader):
    def recognises(self, path):
        return False


class TakesEmpty(TableReader):
    def recognises(self, path):
        return super().recognises(path) or path.stat().st_size == 0


class Executes(Changed):
    def change(self, content, path):
        os.system("true")  # noqa: S605 - what a reader must not do
        return content


class Unpickles(Changed):
    def change(self, content, path):
        pickle.loads(pickle.dumps(TableReader))  # noqa: S301 - what a reader must not do
        return content


class Integers(Changed):
    def change(self, content, path):
        return CheckpointContent(parameters={"w": torch.arange(3)}, format="x")


class Nothing(Changed):
    def change(self, content, path):
        return CheckpointContent(parameters={}, format="x")


class Moves(Changed):
    calls = 0

    def change(self, content, path):
        type(self).calls += 1
        return CheckpointContent(parameters={"w": torch.full((2,), float(self.calls))}, format="x")


class Shares(Changed):
    kept = torch.ones(2)

    def change(self, content, path):
        return CheckpointContent(parameters={"w": self.kept}, format="x")


class Writes(TableReader):
    def read(self, path):
        path.write_bytes(path.read_bytes() + b" ")
        return CheckpointContent(parameters={"w": torch.ones(1)}, format="x")


class Fragile(TableReader):
    def read(self, path):
        try:
            return super().read(path)
        except CorruptCheckpointError as error:
            raise KeyError("w") from error


class Wordy(TableReader):
    def read(self, path):
        try:
            return super().read(path)
        except CorruptCheckpointError as error:
            raise CorruptCheckpointError(f"{error}\nand so on") from error


#: Reader → part of the message.
BREACHES = {
    ByName: "recognises by content",
    Blind: "recognises its format",
    TakesEmpty: "recognises its format alone: an empty file",
    Executes: r"executes nothing: os\.system",
    Unpickles: r"executes nothing: pickle\.find_class",
    Integers: "dense floating-point tensors",
    Nothing: "reads named parameters",
    Moves: "the same file gives equal content",
    Shares: "writing to a tensor reaches no later reading",
    Writes: "does not modify the file",
    Fragile: "a damaged file is a CheckpointError: KeyError",
    Wordy: "an error is one line",
}


def test_a_good_reader_passes(tmp_path):
    assert check_reader(TableReader(), write_table(tmp_path / "x.table", 4), tmp_path).epoch == 4


@pytest.mark.parametrize("reader", BREACHES)
def test_a_broken_law_is_named(tmp_path, reader):
    with pytest.raises(ConformanceError, match=BREACHES[reader]):
        check_reader(reader(), write_table(tmp_path / "x.table", 4), tmp_path)


def test_a_reader_that_cannot_be_sent_to_a_worker(tmp_path):
    class Local(TableReader):
        pass

    with pytest.raises(ConformanceError, match="picklable"):
        check_reader(Local(), write_table(tmp_path / "x.table", 4), tmp_path)
