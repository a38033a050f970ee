"""Nothing in a file is executed, and no file is believed to be larger than it is."""

import pickle
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints.hostile import UNSAFE_KINDS, Touch, members_of, write_archive, write_unsafe


def test_the_canary_can_sing(tmp_path):
    pickle.loads(pickle.dumps(Touch(tmp_path / "canary")))  # noqa: S301 - an ordinary reader would execute it
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", UNSAFE_KINDS)
def test_code_is_refused_and_not_executed(tmp_path, kind):
    path, canary = tmp_path / "x.pt", tmp_path / "canary"
    write_unsafe(path, canary, kind)
    with pytest.raises(
        UnsafeCheckpointError, match=r"^\S+x\.pt: refused as unsafe, it needs posix\.system: [^\n]+$"
    ) as caught:
        read_checkpoint(path)
    assert "nothing in it was executed" in str(caught.value)
    assert "torch.save(model.state_dict(), ...)" in str(caught.value)
    found = discover(tmp_path)
    assert [file.path for file in found.refused] == [path]
    assert not canary.exists()


def test_environment_does_not_turn_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    write_unsafe(tmp_path / "x.pt", tmp_path / "canary", "zip")
    with pytest.raises(UnsafeCheckpointError):
        read_checkpoint(tmp_path / "x.pt")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_parameters_beside_code_are_read_and_the_code_is_not_executed(tmp_path, is_zip):
    content = {"model": {"weight": torch.ones(2, 2)}, "epoch": Touch(tmp_path / "canary"), "step": 5}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=is_zip)
    found = read_checkpoint(tmp_path / "x.pt")
    assert torch.equal(found.parameters["weight"], torch.ones(2, 2))
    assert (found.epoch, found.step, found.unread) == (None, 5, ("posix.system",))
    assert not (tmp_path / "canary").exists()


def test_an_expanded_view_is_refused(tmp_path):
    torch.save({"w": torch.ones(1).expand(10**12)}, tmp_path / "x.pt")
    with pytest.raises(UnsafeCheckpointError, match="claims 1000000000000 elements, the file holds 1"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_tensor_without_values_is_corrupt(tmp_path):
    torch.save({"w": torch.ones(3, device="meta")}, tmp_path / "x.pt")
    with pytest.raises(CorruptCheckpointError, match="without values"):
        read_checkpoint(tmp_path / "x.pt")


MEMBERS = list(members_of({"w": torch.zeros(100_000)}).items())
PICKLE = next(item for item in MEMBERS if item[0].endswith("data.pkl"))

#: Archive → what the refusal says.
ARCHIVES = {
    "bomb": (MEMBERS, zipfile.ZIP_DEFLATED, "the compressed member"),
    "two pickles": ([*MEMBERS, ("other/data.pkl", b"\x80\x02.")], zipfile.ZIP_STORED, r"2 members named data\.pkl"),
    "escaping": ([*MEMBERS, ("archive/../../x", b"")], zipfile.ZIP_STORED, "points outside"),
    "absolute": ([*MEMBERS, ("/etc/x", b"")], zipfile.ZIP_STORED, "points outside"),
    "program": ([*MEMBERS, ("archive/code/a.py", b"")], zipfile.ZIP_STORED, "a TorchScript program"),
    "constants": ([*MEMBERS, ("archive/constants.pkl", b"")], zipfile.ZIP_STORED, "a TorchScript program"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_is_refused(tmp_path, name):
    members, compression, message = ARCHIVES[name]
    write_archive(tmp_path / "x.pt", members, compression)
    with pytest.raises(UnsafeCheckpointError, match=message):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members_are_refused(tmp_path):
    name = MEMBERS[-1][0]
    write_archive(tmp_path / "x.pt", [*MEMBERS, (name, b"")])
    with pytest.raises(UnsafeCheckpointError, match="two members of one name"):
        read_checkpoint(tmp_path / "x.pt")


def test_the_same_archive_unchanged_is_read(tmp_path):
    write_archive(tmp_path / "x.pt", MEMBERS)
    assert read_checkpoint(tmp_path / "x.pt").parameters["w"].shape == (100_000,)


@pytest.mark.parametrize("members", [[], [("word/document.xml", b"<a/>")]])
def test_another_programs_archive_is_no_checkpoint(tmp_path, members):
    write_archive(tmp_path / "x.docx", members, zipfile.ZIP_DEFLATED)
    with pytest.raises(NotACheckpointError, match=r"torch\.save did not write"):
        read_checkpoint(tmp_path / "x.docx")


def test_nested_and_shared_mappings_end(tmp_path):
    shared = {"loss": 1.0}
    for _ in range(40):
        shared = {"a": shared, "b": shared}
    torch.save(shared, tmp_path / "x.pt")
    with pytest.raises(NotACheckpointError):
        read_checkpoint(tmp_path / "x.pt")


@settings(max_examples=60)
@given(
    junk=st.binary(max_size=200), head=st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x10" + b"\0" * 7 + b"{"])
)
def test_any_bytes_end_in_an_error_of_ours(tmp_path_factory, junk, head):
    path = tmp_path_factory.mktemp("junk") / "x"
    path.write_bytes(head + junk)
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        read_checkpoint(path)
