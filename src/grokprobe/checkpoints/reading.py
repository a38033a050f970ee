"""Named parameters out of one file, without executing anything in it.

Each rung refuses rather than falling back to a less safe one: format by content, structure of the archive, the
interpreter that imports and calls nothing (:mod:`grokprobe.inert_pickle`), and sizes that the file can keep. No
argument turns any of them off.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.distributed import read_distributed
from grokprobe.checkpoints.formats import FileFormat, sniff_format
from grokprobe.checkpoints.numpy_archives import read_numpy_archive
from grokprobe.checkpoints.plugin_readers import CheckpointReader, read_further
from grokprobe.checkpoints.safetensors_files import read_safetensors
from grokprobe.checkpoints.sharded import read_sharded
from grokprobe.checkpoints.torch_reading import read_torch
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, SeveralCheckpointsError

__all__ = ["CheckpointContent", "Reading", "read_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How files are read. Picklable: a worker process reads like the one that sent it."""

    #: Where in a torch file the state dict is, if it is not to be looked for; dots go down a level. A file that has no
    #: levels ignores it.
    state_dict_key: str = ""
    #: Readers of plugins, for files in which the built-in ones find no parameters.
    readers: tuple[CheckpointReader, ...] = ()

    def read(self, path: Path, member: str = "") -> CheckpointContent:
        """Reads one file as :func:`read_checkpoint` does.

        Raises:
            CheckpointError: likewise.
        """
        try:
            try:
                return _READERS[sniff_format(path)](path, self.state_dict_key, member)
            except SeveralCheckpointsError:
                raise
            except NotACheckpointError:
                further = read_further(path, self.readers)
                if further is None:
                    raise
                return further
        except OSError as error:
            if error.errno == errno.EINVAL:  # what a damaged archive leads to: a place before the first byte
                raise CorruptCheckpointError(f"{path}: truncated or damaged: it points outside itself") from error
            raise CheckpointError(f"{path}: cannot be opened: {error.strerror or error}") from error


def read_checkpoint(
    path: Path, *, state_dict_key: str = "", member: str = "", readers: tuple[CheckpointReader, ...] = ()
) -> CheckpointContent:
    """Reads the named parameters of one file.

    Args:
        path: a file written by ``torch.save`` (any age, a whole module or object too), pickle, safetensors or numpy
            (``.npz``); the index of a sharded checkpoint; or the ``.metadata`` of a distributed one.
        state_dict_key: as :attr:`Reading.state_dict_key`.
        member: which checkpoint of a file that holds a whole run (:attr:`~grokprobe.checkpoints.CheckpointRef.member`).
        readers: as :attr:`Reading.readers`.

    Raises:
        NotACheckpointError: intact, but no named parameters; the message says what it is.
        SeveralCheckpointsError: a whole run, and no ``member`` is given.
        CorruptCheckpointError: truncated or damaged.
        UnsafeCheckpointError: it is built to be read in another way than it says, or lies about sizes.
        CheckpointError: the file cannot be opened.
    """
    return Reading(state_dict_key=state_dict_key, readers=readers).read(path, member)


def _read_shards(path: Path, state_dict_key: str, member: str) -> CheckpointContent:
    del state_dict_key, member

    def read_shard(shard: Path) -> CheckpointContent:
        if sniff_format(shard) is FileFormat.SHARD_INDEX:
            raise CorruptCheckpointError(f"{shard}: expected a shard, found an index")
        return read_checkpoint(shard)

    return read_sharded(path, read_shard)


def _refuse(error: type[CheckpointError], reason: str) -> Callable[[Path, str, str], CheckpointContent]:
    def refuse(path: Path, state_dict_key: str, member: str) -> CheckpointContent:
        del state_dict_key, member
        raise error(f"{path}: {reason}")

    return refuse


#: Format → what reads it: of path, key of the state dict and member.
_READERS: Final[dict[FileFormat, Callable[[Path, str, str], CheckpointContent]]] = {
    FileFormat.TORCH_ZIP: lambda path, key, member: read_torch(path, is_zip=True, state_dict_key=key, member=member),
    FileFormat.PICKLE: lambda path, key, member: read_torch(path, is_zip=False, state_dict_key=key, member=member),
    FileFormat.SAFETENSORS: lambda path, _key, _member: read_safetensors(path),
    FileFormat.NUMPY_ARCHIVE: lambda path, _key, _member: read_numpy_archive(path),
    FileFormat.SHARD_INDEX: _read_shards,
    FileFormat.DISTRIBUTED: lambda path, key, _member: read_distributed(path, key),
    FileFormat.NUMPY_ARRAY: _refuse(
        NotACheckpointError, "expected named parameters, found one array without a name (npy)"
    ),
    FileFormat.EMPTY: _refuse(CorruptCheckpointError, "expected a checkpoint, found an empty file"),
    FileFormat.UNKNOWN: _refuse(
        NotACheckpointError, "not a checkpoint (neither torch, nor safetensors, nor npz by its content)"
    ),
}
