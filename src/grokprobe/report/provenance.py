"""Where results come from, and the commands that lead to them."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokprobe import names
from grokprobe.overview import ExperimentOverview, GroupOverview
from grokprobe.plots.results import ExperimentResults

#: Kind of group → its option of ``grokprobe analyze``.
_OPTIONS = {names.PROBES: "--probes", names.COMPRESSORS: "--compressors", names.GEOMETRY: "--geometry"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProvenance:
    """One group: what measured it."""

    #: Path below the experiment.
    path: str
    #: Seeds × init_scales × epochs.
    shape: str
    #: Number of coordinates by status, in words.
    counts: str
    #: Measure and version; for a history where it comes from.
    measure: str
    #: Distribution and version.
    distribution: str
    #: Options by name, as JSON.
    options: Mapping[str, str]


def describe_groups(results: ExperimentResults, overview: ExperimentOverview) -> tuple[GroupProvenance, ...]:
    """Returns the groups with epochs, in the order of their paths."""
    return tuple(_describe_group(results, group) for group in overview.groups)


def _describe_group(results: ExperimentResults, overview: GroupOverview) -> GroupProvenance:
    path = overview.path.removeprefix(f"{results.name}/")
    attributes = results.groups[path].attrs
    return GroupProvenance(
        path=path,
        shape=" x ".join(map(str, overview.shape)),
        counts=", ".join(f"{count} {kind}" for kind, count in overview.counts.items()),
        measure=_join(attributes.get("measure"), attributes.get("measure_version"))
        or str(attributes.get("source", "")),
        distribution=_join(attributes.get("distribution"), attributes.get("distribution_version")),
        options={key: json.dumps(value) for key, value in dict(attributes.get("options", {})).items()},
    )


def build_commands(results: ExperimentResults, store: Path) -> tuple[str, ...]:
    """Returns the commands that measure the same again, open it in Python, and draw it.

    The store does not know where the checkpoints were: ``CHECKPOINTS`` stands for their directory.
    """
    analyze = ["grokprobe", "analyze", "CHECKPOINTS", "--out", shlex.quote(store.name)]
    by_kind = {kind: [path.partition("/")[2] for path in results.of_kind(kind)] for kind in _OPTIONS}
    num_places = Counter(label for labels in by_kind.values() for label in labels)
    settings = []
    for kind, labels in by_kind.items():
        if labels:
            analyze += [_OPTIONS[kind], shlex.quote(",".join(labels))]
        for label in labels:
            place = f"{kind}/{label}"
            table = label if num_places[label] == 1 else place
            settings += list(_settings(table, results.groups[place].attrs.get("options", {})))
    analyze += [part for setting in settings for part in ("--set", shlex.quote(setting))]
    return (
        " ".join(analyze),
        f"grokprobe plot {shlex.quote(store.name)}",
        f'python -c "import grokprobe; print(grokprobe.open_results({store.name!r}))"',
    )


def flatten_parameters(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Returns the parameters of an experiment as ``table.key`` → value."""
    return dict(flatten_values("", attributes.get("parameters", {})))


def _settings(table: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Yields every option as a setting; none, the default of some, cannot be given."""
    for key, value in flatten_values(table, options):
        if value != "null":
            yield f"{key}={value}"


def flatten_values(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yields every value of nested tables under its dotted name, as JSON."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten_values(f"{prefix}.{key}" if prefix else str(key), item)
    else:
        yield prefix, json.dumps(value)


def _join(name: Any, version: Any) -> str:
    return " ".join(str(part) for part in (name, version) if part is not None)
