"""Tensors that are costly to make and follow from a few parameters, kept on disk between processes."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from grokprobe.atomic import write_atomically
from grokprobe.cache_directory import DIRECTORY_VARIABLE, cache_directory
from grokprobe.errors import GrokprobeWarning

#: The one entry of a file's metadata; safetensors writes several in any order, and equal files should be equal.
_DESCRIPTION: Final = "grokprobe_cache"


class _CacheFileError(Exception):
    """A file that does not hold what its name says; the message says why."""


def load_or_build(
    kind: str, key: Mapping[str, Any], build: Callable[[], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Returns the tensors of ``key``, from the cache if they are there, else from ``build``, and then keeps them.

    They lie in ``<kind>-<first 16 digits of the SHA-256 of key>.safetensors`` together with the whole key and a
    checksum, which are compared when they are read. A file is replaced as a whole, and of several processes that need
    one at the same time a single one builds it. The cache is never needed: a damaged file is built again, and where
    the directory cannot be written the tensors are returned without being kept; both are warned of.

    Args:
        kind: what the tensors are, a word that can stand in a file name.
        key: everything that the tensors depend on, the version of the code that makes them included; JSON values.
        build: makes them, on the CPU.

    Warns:
        GrokprobeWarning: a damaged file, or a directory that cannot be written.
    """
    canonical = json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    path = cache_directory() / f"{kind}-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}.safetensors"
    found = _load(path, canonical, warn=False)
    if found is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter from a file system without locks
        tensors = build()
        _warn_not_kept(path, error)
        return tensors
    try:
        found = _load(path, canonical, warn=True)
        if found is not None:
            return found
        tensors = build()
        try:
            _write(path, canonical, tensors)
        except OSError as error:
            _warn_not_kept(path, error)
        return tensors
    finally:
        lock.release()


def _load(path: Path, canonical: str, *, warn: bool) -> dict[str, torch.Tensor] | None:
    """Returns what ``path`` holds, or None where that is nothing or not what belongs to the key."""
    try:
        return _read(path, canonical)
    except FileNotFoundError:
        return None
    except (_CacheFileError, SafetensorError, OSError, ValueError) as error:
        if warn:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _warn(f"{path}: expected a cache file of grokprobe, found a damaged one ({reason}); it is made again")
        return None


def _read(path: Path, canonical: str) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - it is no mapping
    if metadata.get(_DESCRIPTION) != _describe(canonical, tensors):
        raise _CacheFileError("another key or checksum")
    return tensors


def _write(path: Path, canonical: str, tensors: Mapping[str, torch.Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = save(contiguous, metadata={_DESCRIPTION: _describe(canonical, contiguous)})
    write_atomically(path, content)


def _describe(canonical: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Returns the key and the SHA-256 over names, types, shapes and contents; safetensors has no checksum."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return f'{{"key":{canonical},"sha256":"{digest.hexdigest()}"}}'


def _warn_not_kept(path: Path, error: Exception) -> None:
    reason = getattr(error, "strerror", None) or error
    _warn(
        f"{path.parent}: expected a directory that can be written, found: {reason}; the result is not kept for the next"
        f" time; set {DIRECTORY_VARIABLE} to another directory"
    )


def _warn(message: str) -> None:
    warnings.warn(message, GrokprobeWarning, stacklevel=2)
