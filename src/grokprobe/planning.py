"""What has to be measured: which measures apply to which runs, and which results are there already."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from grokprobe import names
from grokprobe.binding import BoundRun, unmet
from grokprobe.errors import PluginError, UsageError
from grokprobe.faults import suggest, validate_options
from grokprobe.interfaces import Probe, Requirement, Task
from grokprobe.plugins import Plugins, Provided
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry
from grokprobe.variables import VariableSpec

#: (seed, init_scale) of a run.
RunKey = tuple[int, float]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMeasure:
    """A measure with validated options."""

    #: Group below the experiment: ``probes/fourier@fft``.
    group: str
    #: The measure.
    probe: Probe
    #: Its validated options.
    options: BaseModel
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
            "requires": sorted(str(requirement) for requirement in self.probe.requires),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Which measures apply to the runs of one experiment."""

    #: Measures that apply to at least one run, with those runs' positions.
    runs: Mapping[str, tuple[int, ...]]
    #: Measure group → why it does not apply to some or all runs.
    reasons: Mapping[str, str]
    #: What a user should know although a measure applies.
    notices: tuple[str, ...]
    #: Measure group → what it raised when it was asked.
    faults: Mapping[str, str]


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
        settings: parsed ``--set`` tables; those named like a label are its options.

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
        requests[label] = MeasureRequest(kind=kind, name=name, label=label, options=settings.get(label, {}))
    return list(requests.values())


def check_tables(settings: Mapping[str, Any], requests: Iterable[MeasureRequest], reserved: Iterable[str] = ()) -> None:
    """Raises unless every table of ``--set`` belongs to a measure that was asked for, or is reserved.

    Raises:
        UsageError: naming the first that does not.
    """
    known = sorted({*reserved, *(request.label for request in requests)})
    for table in settings:
        if table not in known:
            raise UsageError(f"--set {table}.…: no such measure is asked for{suggest(table, known)}")


def _unambiguous(provided: Iterable[Provided]) -> list[str]:
    """Returns the names that one plugin alone provides; of the others a user has to say which is meant."""
    counts = Counter(entry.name for entry in provided)
    return sorted(name for name, count in counts.items() if count == 1)


def find_applications(measures: Iterable[PlannedMeasure], runs: list[BoundRun]) -> Applications:
    """Says which measures apply to which runs, before anything runs."""
    applying: dict[str, tuple[int, ...]] = {}
    reasons: dict[str, str] = {}
    notices: list[str] = []
    faults: dict[str, str] = {}
    for measure in measures:
        positions = []
        for position, run in enumerate(runs):
            reason = unmet(measure.probe.requires, run)
            if not reason:
                try:
                    verdict = measure.probe.applies(run.subject, measure.options)
                except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything: its own cost
                    reason = f"it raised {type(error).__name__}: {error}"
                    faults[measure.group] = reason
                else:
                    reason = verdict.reason
                    notices.extend(f"{measure.group}: {notice}" for notice in verdict.notices)
            if reason:
                reasons.setdefault(measure.group, reason)
            else:
                positions.append(position)
        if positions:
            applying[measure.group] = tuple(positions)
    return Applications(runs=applying, reasons=reasons, notices=tuple(dict.fromkeys(notices)), faults=faults)


def input_digests(
    measure: PlannedMeasure, run: BoundRun, is_wanted: Callable[[int], bool], file_digest: Callable[[Path], str]
) -> dict[int, str]:
    """Returns, by epoch, the digest of everything a result depends on: it changes when, and only when, an input does.

    Args:
        measure: what is measured.
        run: where.
        is_wanted: whether an epoch is asked for.
        file_digest: of a file by its path.
    """
    needs_data = {Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT} & measure.probe.requires
    shared = [
        measure.attributes() | {"distribution_version": ""},
        _task_version(run.subject.task),
        sorted(run.subject.constant),
        [run.split, run.split_content] if needs_data else [],
        [dict(run.mapping or {}), run.factory] if Requirement.MODEL in measure.probe.requires else [],
        run.state_dict_key,
    ]
    prefix = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
    paths = [checkpoint.path for checkpoint in run.checkpoints.values()]
    ends = (paths[0], paths[-1]) if Requirement.FINAL in measure.probe.requires else ()
    digests = {}
    for place, epoch in enumerate(run.checkpoints):
        if not is_wanted(epoch):
            continue
        around = paths[max(0, place - 1) : place + 2] if Requirement.NEIGHBOURS in measure.probe.requires else ()
        digest = prefix.copy()
        digest.update(" ".join(map(file_digest, (paths[place], *around, *ends))).encode())
        digests[epoch] = digest.hexdigest()
    return digests


def find_wanted(
    entries: Mapping[Coordinate, Entry],
    wanted: Mapping[Coordinate, str],
    *,
    retry_failed: bool,
    recompute: bool,
) -> set[Coordinate]:
    """Returns the coordinates that have to be measured.

    Args:
        entries: the ledger.
        wanted: coordinate → digest of its inputs as they are now.
        retry_failed: also those that failed with the same inputs.
        recompute: all of them.
    """

    def is_done(coordinate: Coordinate, inputs: str) -> bool:
        entry = entries.get(coordinate)
        if entry is None or entry.inputs != inputs or entry.status is Status.MISSING:
            return False
        return entry.status is Status.OK or not retry_failed

    return {coordinate for coordinate, inputs in wanted.items() if recompute or not is_done(coordinate, inputs)}


def epochs_by_run(coordinates: Iterable[Coordinate]) -> dict[tuple[str, RunKey], set[int]]:
    """Returns the epochs of coordinates by group and run."""
    epochs: dict[tuple[str, RunKey], set[int]] = {}
    for group, seed, init_scale, epoch in coordinates:
        epochs.setdefault((group, (seed, init_scale)), set()).add(epoch)
    return epochs


def check_unchanged(measure: PlannedMeasure, stored: Mapping[str, Any], group: str) -> None:
    """Raises unless the group in the store was measured by the same version under the same options.

    Raises:
        UsageError: it was not.
    """
    wanted = measure.attributes()
    for key in ("measure", "measure_version", "options"):
        if stored.get(key) != wanted[key]:
            raise UsageError(
                f"{group} was measured with {key.replace('_', ' ')} {stored.get(key)}, now {wanted[key]} is asked for;"
                f" keep both by a label ({measure.probe.name}@…), or replace it with --recompute"
            )


def _plan_measure(request: MeasureRequest, provided: Provided) -> PlannedMeasure:
    options = validate_options(provided.item.options, request.options, request.label)
    try:
        specs = tuple(provided.item.variables(options))
    except Exception as error:
        raise PluginError(f"{request.label} of {provided.plugin.name}: variables() raised {error!r}") from error
    return PlannedMeasure(
        group=f"{request.kind}/{request.label}",
        probe=provided.item,
        options=options,
        specs=specs,
        distribution=(provided.plugin.distribution, provided.plugin.version),
    )


def _task_version(task: Task | None) -> list[str]:
    return [] if task is None else [task.name, task.version]


def leading_order(known: Mapping[str, Iterable[Any]], new: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """Returns leading coordinates with the new values after the known ones, sorted among themselves."""
    order = {}
    for dim in names.LEADING_DIMS:
        first = list(known.get(dim, ()))
        order[dim] = first + sorted(set(new[dim]) - set(first))
    return order
