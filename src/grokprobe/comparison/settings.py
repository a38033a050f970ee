"""What was set differently, and what only one of two experiments has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from grokprobe import names
from grokprobe.plots import ExperimentResults
from grokprobe.report.provenance import flatten_values
from grokprobe.status import Status

#: What an experiment or group has that follows from the rest.
_DERIVED: Final = frozenset({"experiment", "digest", "constant"})
#: What a side says where it lacks a setting.
ABSENT: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDifference:
    """One setting of which the two sides have different values."""

    #: ``parameters.optimizer.lr``, ``probes/fourier: options.basis``, ``history: epochs``.
    name: str
    #: As JSON; a dash where it is not set.
    a: str
    #: The same of the other side.
    b: str


def compare_settings(a: ExperimentResults, b: ExperimentResults) -> tuple[SettingDifference, ...]:
    """Returns the parameters, versions, options and measured epochs that differ, of what both have."""
    shared = a.groups.keys() & b.groups.keys()
    of_a, of_b = (dict(_iterate_settings(results, shared)) for results in (a, b))
    return tuple(
        SettingDifference(name=name, a=of_a.get(name, ABSENT), b=of_b.get(name, ABSENT))
        for name in dict.fromkeys([*of_a, *of_b])
        if of_a.get(name) != of_b.get(name)
    )


def find_missing(a: ExperimentResults, b: ExperimentResults) -> tuple[str, ...]:
    """Returns the groups of the first that the second lacks, and the variables of those that it has."""
    missing = []
    for path, group in a.groups.items():
        if path not in b.groups:
            missing.append(path)
        else:
            missing += [f"{path}/{name}" for name in sorted(set(map(str, group.data_vars)) - set(b.groups[path]))]
    return tuple(missing)


def _iterate_settings(results: ExperimentResults, groups: set[str]) -> Iterator[tuple[str, str]]:
    attributes = {key: value for key, value in results.attributes.items() if key not in _DERIVED}
    yield from flatten_values("", attributes)
    for path in sorted(groups):
        group = results.groups[path]
        for name, value in flatten_values("", {k: v for k, v in group.attrs.items() if k not in _DERIVED}):
            yield f"{path}: {name}", value
        if names.EPOCH in group.dims and names.STATUS in group:
            yield f"{path}: epochs", _describe_epochs(results, path)


def _describe_epochs(results: ExperimentResults, path: str) -> str:
    group = results.groups[path]
    is_measured = (group[names.STATUS].load() == int(Status.OK)).any(list(names.SUMMARY_DIMS)).to_numpy()
    epochs = np.sort(group[names.EPOCH].to_numpy()[is_measured])
    if not len(epochs):
        return "none"
    steps = set(np.diff(epochs).tolist())
    spacing = f", every {steps.pop()}" if len(steps) == 1 else ""
    return f"{len(epochs)} from {epochs[0]} to {epochs[-1]}{spacing}"
