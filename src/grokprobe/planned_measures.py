"""Measures as asked for: looked up by label, with validated options and what they need under them."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from grokprobe import names
from grokprobe.compressors.curve import CompressionCurve
from grokprobe.errors import PluginError, UsageError
from grokprobe.faults import suggest, validate_options
from grokprobe.geometry.diagonal import find_diagonal
from grokprobe.geometry.trajectory import Trajectory
from grokprobe.interfaces import Probe, Requirement
from grokprobe.plugins import Plugins, Provided
from grokprobe.probes.null import NullProbe, is_null
from grokprobe.variables import VariableSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """One measure as asked for: which, under which label, with which options."""

    #: One of the group names ``probes``, ``compressors``, ``geometry``.
    kind: str
    #: Registered name of the measure.
    name: str
    #: Name in the dataset: ``name``, or ``name@variant``.
    label: str
    #: Option values as given, before validation.
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variant(self) -> str:
        """What stands after ``@`` in the label; empty where nothing does."""
        return self.label.partition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMeasure:
    """A measure with validated options."""

    #: Group below the experiment: ``probes/fourier@fft``.
    group: str
    #: The measure, or what the core makes of a compressor or a metric.
    probe: Probe
    #: Its validated options.
    options: BaseModel
    #: What it needs under these options.
    requires: frozenset[Requirement]
    #: How many stored checkpoints before and after its own it looks at, if it looks at neighbours.
    reach: int
    #: Specification of every variable.
    specs: tuple[VariableSpec, ...]
    #: Distribution that provides it, and its version.
    distribution: tuple[str, str]

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of its group."""
        return {
            "measure": self.probe.name,
            "measure_version": self.probe.version,
            "distribution": self.distribution[0],
            "distribution_version": self.distribution[1],
            "options": self.options.model_dump(mode="json"),
            "requires": sorted(str(requirement) for requirement in self.requires),
        }


def plan_measures(requests: Iterable[MeasureRequest], plugins: Plugins) -> tuple[PlannedMeasure, ...]:
    """Looks up measures and validates their options.

    Raises:
        UsageError: an unknown measure, an ambiguous name, or an invalid option; the message names every fault.
    """
    return tuple(_plan_measure(request, plugins.find(request.kind, request.name)) for request in requests)


def build_requests(
    kind: str, labels: Iterable[str] | None, plugins: Plugins, settings: Mapping[str, Mapping[str, Any]]
) -> list[MeasureRequest]:
    """Returns requests for measures of one kind by label.

    Args:
        kind: a group name such as ``probes``.
        labels: ``name``, ``name@variant`` or ``distribution:name``; ``all`` for every one, None for the cheap ones.
        plugins: where to look.
        settings: parsed ``--set`` tables; those named like a label, or ``kind/label``, are its options.

    Raises:
        UsageError: two measures under one label.
    """
    provided = [entry for entry in plugins.provided if entry.kind == kind]
    if labels is None:
        chosen = _unambiguous(entry for entry in provided if entry.item.is_cheap)
    else:
        chosen = [name for label in labels for name in (_unambiguous(provided) if label == "all" else [label])]
        if not chosen:
            raise UsageError(
                f"{kind}: expected at least one name among {', '.join(plugins.names_of(kind))}, found none"
            )
    requests = {}
    for given in dict.fromkeys(chosen):
        label = given.rpartition(":")[2]
        if not re.fullmatch(r"[A-Za-z0-9_.+=-]+(@[A-Za-z0-9_.+=-]+)?", label):
            raise UsageError(f"{kind}: expected NAME or NAME@VARIANT of letters, digits and _ . + = -, found {given!r}")
        if label in requests:
            raise UsageError(f"{kind}: two measures are called {label!r}; tell them apart by a label ({given}@…)")
        name = given.partition("@")[0]
        options = {**settings.get(label, {}), **settings.get(f"{kind}/{label}", {})}
        requests[label] = MeasureRequest(kind=kind, name=name, label=label, options=options)
    return list(requests.values())


def build_all_requests(
    labels: Mapping[str, Iterable[str] | None], plugins: Plugins, settings: Mapping[str, Mapping[str, Any]]
) -> list[MeasureRequest]:
    """Returns requests for measures of every kind.

    Args:
        labels: for each kind what :func:`build_requests` takes. Where no kind names anything, the cheap measures of all
            kinds are meant; else those that are named, and no others.
        plugins: where to look.
        settings: parsed ``--set`` tables.

    Raises:
        UsageError: as :func:`build_requests`.
    """
    is_named = any(chosen is not None for chosen in labels.values())
    wanted = {kind: chosen for kind, chosen in labels.items() if not (is_named and chosen is None)}
    return [request for kind, chosen in wanted.items() for request in build_requests(kind, chosen, plugins, settings)]


def check_tables(settings: Mapping[str, Any], requests: Iterable[MeasureRequest], reserved: Iterable[str] = ()) -> None:
    """Raises unless every table of ``--set`` belongs to one measure that was asked for, or is reserved.

    Raises:
        UsageError: naming the first that does not.
    """
    places: dict[str, list[str]] = {table: [table] for table in reserved}
    for request in requests:
        place = f"{request.kind}/{request.label}"
        places.setdefault(request.label, []).append(place)
        places[place] = [place]
    for table in settings:
        if table not in places:
            raise UsageError(f"--set {table}.…: no such measure is asked for{suggest(table, places)}")
        if len(places[table]) > 1:
            raise UsageError(f"--set {table}.…: say which measure is meant: {' or '.join(places[table])}")


def _unambiguous(provided: Iterable[Provided]) -> list[str]:
    """Returns the names that one plugin alone provides; of the others a user has to say which is meant."""
    counts = Counter(entry.name for entry in provided)
    return sorted(name for name, count in counts.items() if count == 1)


def _plan_measure(request: MeasureRequest, provided: Provided) -> PlannedMeasure:
    probe = _as_probe(request, provided.item)
    _refuse_misspelt_variant(request, probe.variants)
    values = {**probe.variants.get(request.variant, {}), **request.options}
    options = validate_options(probe.options, values, request.label)
    try:
        specs = tuple(probe.variables(options))
    except Exception as error:
        raise PluginError(f"{request.label} of {provided.plugin.name}: variables() raised {error!r}") from error
    is_trajectory = isinstance(probe, Trajectory)
    return PlannedMeasure(
        group=f"{request.kind}/{request.label}",
        probe=probe,
        options=options,
        requires=probe.requirements(options) if is_trajectory else probe.requires,
        reach=probe.reach(options) if is_trajectory else 1,
        specs=specs,
        distribution=(provided.plugin.distribution, provided.plugin.version),
    )


def _refuse_misspelt_variant(request: MeasureRequest, variants: Iterable[str]) -> None:
    """Raises where nothing is set for a label that is almost that of a variant: its numbers would be the default's.

    Raises:
        UsageError: with the label that is meant.
    """
    near = difflib.get_close_matches(request.variant, variants, n=1, cutoff=0.8)
    if near and request.variant not in variants and not request.options:
        raise UsageError(
            f"{request.label}: no variant is called {request.variant!r} and no option is set for it;"
            f" did you mean {request.name}@{near[0]}?"
        )


def _as_probe(request: MeasureRequest, item: Any) -> Probe:
    """Returns what is measured at a checkpoint: the probe or its null, a compressor's curve, the path a metric sees."""
    if request.kind == names.COMPRESSORS:
        return CompressionCurve(item)
    if request.kind == names.GEOMETRY:
        return Trajectory(item, find_diagonal(item))
    if is_null(request.variant) and request.variant not in item.variants:
        return NullProbe(item)
    return item
