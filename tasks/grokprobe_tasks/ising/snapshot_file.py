"""A data set of snapshots that somebody else made: ``[description, [(spins, label, temperature), …]]`` as a pickle.

Reference: the data of Manning-Coe et al., arXiv 2502.01739, have this form with L = 16.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from grokprobe.checkpoints.digests import file_digest
from grokprobe.errors import CheckpointError, UsageError
from grokprobe.inert_pickle import Inert, as_array, load_inert
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE

#: Room for 50 000 lattices of 16 × 16 that are lists of numbers, one operation a number.
_MAX_OPERATIONS: Final = 20_000_000


def digest_snapshot_file(path: str) -> str:
    """Returns the SHA-256 of the file, in hexadecimal.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return file_digest(Path(path).expanduser()).removeprefix("sha256:")
    except CheckpointError as error:
        raise ValueError(f"expected a file of snapshots, found: {error}") from error


def read_snapshot_file(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the spins and temperatures in ``path``, in the order of the file; nothing in it is executed.

    Args:
        path: a pickle of any protocol. Spins are a numpy array of integers or reals or a list of rows, label and
            temperature numbers of Python or numpy; each level may be a list or a tuple.
        size: linear size L of the lattice.

    Returns:
        Spins ±1, int8 of shape (n, L, L), and temperatures, float64 of shape (n,), in units of J. The labels are not
        returned: they are checked to be 0 below T_c and 1 above.

    Raises:
        UsageError: the file cannot be read, or is no such pickle; or an entry (counted from 0) has other than L² spins
            of ±1, a temperature that is not finite, positive and other than T_c, or the other phase's label.
    """
    try:
        with path.open("rb") as file:
            content = load_inert(file, path, max_operations=_MAX_OPERATIONS)
    except OSError as error:
        raise UsageError(
            f"{path}: expected a file of snapshots, found {error.strerror or error}; put it there, or say where it is"
            " with --set task.snapshot_file=PATH"
        ) from error
    except CheckpointError as error:
        raise UsageError(str(error)) from error
    entries = _find_entries(content, path)
    spins = np.empty((len(entries), size, size), np.int8)
    temperatures = np.empty(len(entries))
    for k, entry in enumerate(entries):
        try:
            spins[k], temperatures[k] = _read_entry(entry, size)
        except (CheckpointError, _EntryError) as error:
            raise UsageError(f"{path}, entry {k}: {error}; mend the entry or take it out") from error
    return spins, temperatures


class _EntryError(Exception):
    """What was expected of an entry and what was found."""


def _find_entries(content: Any, path: Path) -> Sequence[Any]:
    found = _describe(content)
    match content:
        case [_, [_, *_] as entries]:
            return entries
        case [_, second]:
            found = f"{_describe(second)} as the second"
    raise UsageError(
        f"{path}: expected [description, [(spins, label, temperature), …]] with at least one entry,"
        f" found {found}; give the file of another data set"
    )


def _read_entry(entry: Any, size: int) -> tuple[np.ndarray, float]:
    match entry:
        case [spins, label, temperature]:
            lattice = _read_spins(spins, size)
            at = _read_number(temperature, "temperature")
            _check_phase(_read_number(label, "label"), at)
            return lattice, at
    raise _EntryError(f"expected (spins, label, temperature), found {_describe(entry)}")


def _read_spins(value: Any, size: int) -> np.ndarray:
    spins = as_array(value) if isinstance(value, Inert) else _read_rows(value, size)
    if spins.shape != (size, size) or spins.dtype.kind not in "iuf":
        raise _EntryError(f"expected {size}×{size} spins, found shape {spins.shape} of {spins.dtype}")
    if not ((spins == 1) | (spins == -1)).all():
        found = spins[(spins != 1) & (spins != -1)][0]
        raise _EntryError(f"expected spins of −1 and 1, found {found}")
    return spins


def _read_rows(rows: Any, size: int) -> np.ndarray:
    if not _is_sequence(rows, size) or not all(_is_sequence(row, size) for row in rows):
        raise _EntryError(f"expected {size} rows of {size} spins, found {_describe(rows)}")
    if not {type(spin) for row in rows for spin in row} <= {int, float}:
        rows = [[_read_number(spin, "spin") for spin in row] for row in rows]
    return np.array(rows)


def _is_sequence(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == length


def _read_number(value: Any, name: str) -> float:
    if isinstance(value, Inert):
        array = as_array(value)
        value = array.item() if array.ndim == 0 else array
    if not isinstance(value, (int, float)) or (isinstance(value, int) and value.bit_length() > 53):
        raise _EntryError(f"expected a number as {name}, found {_describe(value)}")
    return float(value)


def _check_phase(label: float, temperature: float) -> None:
    if not (0 < temperature < math.inf) or temperature == CRITICAL_TEMPERATURE:
        raise _EntryError(f"expected a finite temperature above 0 and other than T_c, found {temperature}")
    expected = float(temperature > CRITICAL_TEMPERATURE)
    if label != expected:
        raise _EntryError(
            f"expected label {expected:.0f} at temperature {temperature} (T_c = {CRITICAL_TEMPERATURE:.4f}),"
            f" found {label:g}"
        )


def _describe(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value) if isinstance(value, Inert) else f"a {type(value).__name__}"
