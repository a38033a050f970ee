"""Every file of the corpus is read or refused as the table says: in one line, nothing executed, no memory wasted."""

import codecs
import pickle
import resource

import numpy as np
import pytest
import torch

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints import corpus, corpus_formats
from unit.checkpoints.auditing import recorded
from unit.checkpoints.corpus import GOOD
from unit.checkpoints.hostile import Touch

CASES = corpus.CASES | corpus_formats.CASES
OUTCOMES = {"skipped": NotACheckpointError, "corrupt": CorruptCheckpointError, "unsafe": UnsafeCheckpointError}


def outcome_of(path):
    """Returns how reading ends, and the message."""
    try:
        dict(read_checkpoint(path).parameters)
    except CheckpointError as error:
        return next(name for name, kind in OUTCOMES.items() if isinstance(error, kind)), str(error)
    return "read", ""


def most_memory():
    """The largest resident size so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    """The events of reading good files and of refusing bad ones, after everything is imported."""
    directory = tmp_path_factory.mktemp("good")
    torch.save(GOOD, directory / "zip")
    torch.save(GOOD, directory / "legacy", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), directory / "module")
    np.savez(directory / "arrays.npz", w=np.ones(2))  # numpy compiles the header of an array as a literal
    (directory / "none").write_bytes(b"")
    for name in ("cp437", "raw-unicode-escape", "latin-1", "ascii"):  # what zip archives and pickles spell names in
        codecs.lookup(name)
    for _ in range(2):  # the second time all lazy imports are done
        with recorded() as events:
            for path in sorted(directory.iterdir()):
                outcome_of(path)
    assert "open" in events
    return events


def test_the_corpus_is_large_enough():
    assert len(CASES) == len(corpus.CASES) + len(corpus_formats.CASES) >= 110
    assert {outcome for _, outcome in CASES.values()} == {"read", *OUTCOMES}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.filterwarnings("ignore:(Sparse CSR|torch.quantize|The PyTorch API of nested)")  # of making the files
@pytest.mark.parametrize("name", CASES)
def test_outcome(tmp_path, name, allowed):
    write, expected = CASES[name]
    path, canary = tmp_path / "x.pt", tmp_path / "canary"
    write(path, canary)
    before = most_memory()
    with recorded() as events:
        found, message = outcome_of(path)
    assert found == expected, message
    if message:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert len(message) < len(str(path)) + 400
    assert events <= allowed
    assert most_memory() - before < 256 * 2**20
    assert not canary.exists()


def test_the_canary_and_the_hook_notice_when_one_is_executed(tmp_path):
    content = pickle.dumps(Touch(tmp_path / "canary"))
    with recorded() as events:
        pickle.loads(content)  # noqa: S301 - what an ordinary reader does
    assert (tmp_path / "canary").exists()
    assert "os.system" in events


def test_a_tree_of_all_of_them(tmp_path):
    names = ("os.system, protocol 2", "zip bomb", "text", "empty", "code beside parameters", "odd names")
    for k, name in enumerate(names):
        CASES[name][0](tmp_path / f"{k}.pt", tmp_path / "canary")
    found = discover(tmp_path)
    (run,) = found.runs
    assert [file.path.name for file in found.refused] == ["1.pt"]  # another file says that it is of epoch 1
    assert [(ref.path.name, ref.refused) for ref in run.checkpoints if ref.problem] == [
        ("0.pt", True), ("3.pt", False),
    ]  # fmt: skip
    assert not (tmp_path / "canary").exists()
