"""Archives of numpy: real numbers are parameters, objects are never read, sizes are checked before memory is taken."""

import io
import zipfile

import numpy as np
import pytest
import torch

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints.hostile import Touch, write_archive


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_parameters(tmp_path, save):
    arrays = {
        "layer/w": np.arange(6, dtype="f4").reshape(2, 3, order="F"), "b": np.ones(2, ">f8"),
        "half": np.ones(3, "f2"), "none": np.zeros((0, 3)), "k": np.arange(3), "z": np.ones(1) * 1j,
    }  # fmt: skip
    save(tmp_path / "x", **arrays, epoch=np.int64(4), global_step=70)
    (tmp_path / "x.npz").rename(tmp_path / "x.dat")  # the suffix says nothing
    found = read_checkpoint(tmp_path / "x.dat")
    assert (found.epoch, found.step, found.format, found.other_tensors) == (4, 70, "numpy", ("k", "z"))
    assert list(found.parameters) == ["layer/w", "b", "half", "none"]
    for name, tensor in found.parameters.items():
        assert torch.equal(tensor, torch.from_numpy(arrays[name].astype(arrays[name].dtype.newbyteorder("="))))


def test_a_run_of_archives(tmp_path):
    for epoch in (10, 2):
        np.savez(tmp_path / f"epoch_{epoch}", w=np.full(2, float(epoch)))
    (run,) = discover(tmp_path).runs
    assert [checkpoint.epoch for checkpoint in run.checkpoints] == [2, 10]


def test_objects_are_named_and_not_read(tmp_path):
    np.savez(tmp_path / "x", w=np.ones(2), o=np.array([Touch(tmp_path / "canary")], dtype=object))
    found = read_checkpoint(tmp_path / "x.npz")
    assert (list(found.parameters), found.other_tensors) == (["w"], ("o",))
    assert not (tmp_path / "canary").exists()


def test_one_array_has_no_name(tmp_path):
    np.save(tmp_path / "x", np.ones(3))
    with pytest.raises(NotACheckpointError, match=r"one array without a name \(npy\)"):
        read_checkpoint(tmp_path / "x.npy")


GOOD = npy(np.ones(4))
#: Members → error, and what it says.
BAD = {
    "only integers": ({"k.npy": npy(np.arange(3))}, NotACheckpointError, "no array of floating-point numbers"),
    "shape that lies": ({"w.npy": GOOD.replace(b"(4,)", b"(9,)")}, CorruptCheckpointError, r"as shape \(9,\)"),
    "huge": ({"w.npy": GOOD.replace(b"(4,), }    ", b"(4000000,)}")}, CorruptCheckpointError, "as many bytes"),
    "negative": ({"w.npy": GOOD.replace(b"(4,), }", b"(-4,),}")}, CorruptCheckpointError, "expected"),
    "no array": ({"w.npy": b"hello"}, CorruptCheckpointError, "expected an array under 'w'"),
    "code for a header": (
        {"w.npy": GOOD.replace(b"'fortran_order': False", b"'fortran_order': exit()")},
        CorruptCheckpointError, "expected",
    ),
    "long header": (
        {"w.npy": b"\x93NUMPY\x02\0" + (20_000).to_bytes(4, "little") + b" " * 20_000},
        CorruptCheckpointError, "expected",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_lies_is_refused(tmp_path, name):
    members, error, message = BAD[name]
    assert members != {"w.npy": GOOD}
    write_archive(tmp_path / "x", list(members.items()))
    with pytest.raises(error, match=rf"^\S+x: [^\n]*{message}[^\n]*$"):
        read_checkpoint(tmp_path / "x")


def test_a_bomb_is_not_expanded(tmp_path):
    write_archive(tmp_path / "x", [("w.npy", npy(np.zeros(3_000_000)))], zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeCheckpointError, match="it was not expanded"):
        read_checkpoint(tmp_path / "x")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path):
    write_archive(tmp_path / "x", [("w.npy", GOOD), ("w.npy", GOOD)])
    with pytest.raises(UnsafeCheckpointError, match="two members of one name"):
        read_checkpoint(tmp_path / "x")


def test_truncated_or_damaged_anywhere_is_one_line(tmp_path):
    np.savez_compressed(tmp_path / "whole", w=np.arange(5.0))
    whole = (tmp_path / "whole.npz").read_bytes()
    for place in range(0, len(whole), 3):
        (tmp_path / "cut").write_bytes(whole[:place])
        with pytest.raises(CorruptCheckpointError, match=r"^\S+cut: [^\n]+$"):
            read_checkpoint(tmp_path / "cut")
    middle = whole.index(b"w.npy") + 10
    (tmp_path / "cut").write_bytes(whole[:middle] + bytes(20) + whole[middle + 20 :])
    with pytest.raises(CorruptCheckpointError, match=r"^\S+cut: [^\n]+$"):
        read_checkpoint(tmp_path / "cut")
