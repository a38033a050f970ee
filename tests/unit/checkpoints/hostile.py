"""Files that a stranger might send, made here; running one would only touch a canary file."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import torch


class Touch:
    """Unpickled by an ordinary reader, it creates ``canary``."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self._canary}'",)


def write_unsafe(path: Path, canary: Path, kind: str) -> None:
    """Writes a file that would touch ``canary``: ``zip``, ``legacy`` or ``pickle-N`` for pickle protocol N.

    It holds no parameters but those that calling something would give.
    """
    content = {"model": Touch(canary), "epoch": 1}
    if kind.startswith("pickle-"):
        path.write_bytes(pickle.dumps(Touch(canary), protocol=int(kind[-1])))
    elif kind == "zip-protocol-4":
        torch.save(content, path, pickle_protocol=4)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")


UNSAFE_KINDS = ("zip", "zip-protocol-4", "legacy", *(f"pickle-{protocol}" for protocol in range(6)))


def members_of(content: object) -> dict[str, bytes]:
    """Returns the members of the archive that ``torch.save`` writes for ``content``."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
