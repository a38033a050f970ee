"""What could not be had, and why."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.plots.labels import scale_label
from grokprobe.plots.results import ExperimentResults
from grokprobe.report.wording import say_count, say_ranges
from grokprobe.status import Status
from grokprobe.store import read_entries

#: What is no result and no absence.
_FAULTS = (Status.FAILED, Status.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureNote:
    """Failures of one group for one reason."""

    #: Path of the group in the store.
    group: str
    #: How many results.
    count: int
    #: Why, as it was recorded.
    reason: str
    #: Which runs and epochs.
    where: tuple[str, ...]


def collect_failures(results: Path, experiment: ExperimentResults) -> tuple[FailureNote, ...]:
    """Returns what failed or was refused, by group and reason.

    The reasons are in the ledger of the store; a copy without one still says how many there are and where.
    """
    recorded = read_entries(results)
    reasons = {coordinate: entry.error for coordinate, entry in recorded.items() if entry.status in _FAULTS}
    found: dict[tuple[str, str], dict[tuple[int, float], list[int]]] = defaultdict(lambda: defaultdict(list))
    for path, group in experiment.groups.items():
        if names.STATUS not in group or names.EPOCH not in group[names.STATUS].dims:
            continue
        status = group[names.STATUS].load()
        place = f"{experiment.name}/{path}"
        for index in np.argwhere(np.isin(status.to_numpy(), [int(fault) for fault in _FAULTS])):
            at = {str(d): status[d].to_numpy()[i].item() for d, i in zip(status.dims, index, strict=True)}
            coordinate = (place, at[names.SEED], at[names.INIT_SCALE], at[names.EPOCH])
            reason = reasons.get(coordinate, "") or "the reason is not recorded in this copy of the store"  # pyright: ignore[reportArgumentType, reportCallIssue] - a Coordinate is a tuple
            found[place, reason][at[names.SEED], at[names.INIT_SCALE]].append(at[names.EPOCH])
    return tuple(
        FailureNote(
            group=group,
            count=sum(map(len, runs.values())),
            reason=reason,
            where=tuple(
                f"seed {seed}, init_scale {scale_label(scale)}: epoch {say_ranges(epochs)}"
                for (seed, scale), epochs in sorted(runs.items())
            ),
        )
        for (group, reason), runs in sorted(found.items())
    )


def collect_warnings(experiment: ExperimentResults) -> tuple[str, ...]:
    """Returns what a reader should know although nothing failed."""
    warnings = []
    for path, group in experiment.groups.items():
        if constant := list(group.attrs.get("constant", [])):
            warnings.append(f"{path}: left out because they never change along the runs: {', '.join(constant)}")
        if names.STATUS in group and names.EPOCH in group[names.STATUS].dims:
            warnings += _warn_of_gaps(path, group[names.STATUS].load().to_numpy())
            warnings += _warn_of_undefined(path, group)
    if experiment.history is None:
        warnings.append("the accuracy along the runs is not known: no times, regimes or training curves")
    return tuple(warnings)


def _warn_of_undefined(path: str, group: xr.Dataset) -> list[str]:
    """Says which numbers of the checkpoints are undefined at all of them."""
    if not (group[names.STATUS] == int(Status.OK)).any():
        return []
    numbers = {
        str(n): v for n, v in group.data_vars.items() if set(v.dims) == set(names.LEADING_DIMS) and v.dtype.kind == "f"
    }
    undefined = sorted(name for name, variable in numbers.items() if not variable.notnull().any())
    return [f"{path}: undefined at every checkpoint: {', '.join(undefined)}"] if undefined else []


def _warn_of_gaps(path: str, status: np.ndarray) -> list[str]:
    if (status != int(Status.OK)).all():
        return [f"{path}: nothing was measured"]
    num_missing = int((status == int(Status.MISSING)).sum())
    if num_missing:
        return [f"{path}: {say_count(num_missing, 'coordinate')} of {status.size} not measured"]
    return []
