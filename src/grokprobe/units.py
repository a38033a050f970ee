"""Units of work: plain data that can be sent to any process, and what comes back."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from grokprobe.binding import BoundRun
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry
from grokprobe.user_code import UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMeasure:
    """What one measure has to do in a unit."""

    #: The measure.
    measure: PlannedMeasure
    #: Epochs to measure → digest of their inputs.
    inputs: Mapping[int, str]
    #: Other epochs of this run whose results stay.
    kept: frozenset[int]
    #: Epochs to measure whose old result is overwritten.
    replaced: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One run, one block of epochs, several measures."""

    #: What a worker loads first: the fields after it may be of classes from there.
    code: UserCode
    #: The store, and the ledger's generation.
    store: Path
    generation: int
    #: Name of the experiment.
    experiment: str
    #: The run.
    run: BoundRun
    #: Number of the block, in stored order.
    block: int
    #: Digest of each checkpoint of the block.
    digests: Mapping[int, str]
    #: The measures.
    measures: tuple[UnitMeasure, ...]
    #: Where to compute.
    device: str
    #: Why nothing is measured any more and all that is left counts as failed; empty as long as that is not so.
    fault: str = ""

    @property
    def epochs(self) -> list[int]:
        """Epochs that at least one measure wants, ascending."""
        return sorted({epoch for measure in self.measures for epoch in measure.inputs})

    @property
    def key(self) -> str:
        """A name for its work cells, the same whichever measures are wanted there."""
        place = f"{self.experiment} {self.run.identity!r} {self.block}"
        return hashlib.sha256(place.encode()).hexdigest()[:32]

    def coordinate(self, measure: UnitMeasure, epoch: int) -> Coordinate:
        """Returns the place of one result."""
        return Coordinate(f"{self.experiment}/{measure.measure.group}", *self.run.identity, epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A result that could not be had."""

    #: Group, run and epoch.
    where: str
    #: Why.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a unit did."""

    #: Number of results measured, by group.
    num_measured: Mapping[str, int]
    #: Results that failed.
    failures: tuple[Failure, ...]

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(
            num_measured=Counter(self.num_measured) + Counter(other.num_measured),
            failures=(*self.failures, *other.failures),
        )


def describe(coordinate: Coordinate) -> str:
    """Returns where a result is, for people."""
    return f"{coordinate.group} seed {coordinate.seed} init_scale {coordinate.init_scale:g} epoch {coordinate.epoch}"


def split_begun(unit: Unit, entries: Mapping[Coordinate, Entry], generation: int) -> tuple[Receipt, Unit]:
    """Returns what a unit has done before the worker that had it died, and the unit that is left.

    Args:
        unit: as it was given.
        entries: the ledger since the unit's own generation.
        generation: of the lines to come, above that of those already there.
    """
    num_measured: Counter[str] = Counter()
    failures, measures = [], []
    for wanted in unit.measures:
        found = {epoch: entries.get(unit.coordinate(wanted, epoch)) for epoch in wanted.inputs}
        done = {
            epoch: entry
            for epoch, entry in found.items()
            if entry is not None and entry.inputs == wanted.inputs[epoch] and entry.status is not Status.MISSING
        }
        num_measured[wanted.measure.group] += sum(entry.status is Status.OK for entry in done.values())
        failures += [
            Failure(where=describe(unit.coordinate(wanted, epoch)), reason=entry.error)
            for epoch, entry in done.items()
            if entry.error
        ]
        left = UnitMeasure(
            measure=wanted.measure,
            inputs={epoch: digest for epoch, digest in wanted.inputs.items() if epoch not in done},
            kept=wanted.kept | frozenset(done),
            replaced=wanted.replaced - frozenset(done),
        )
        measures += [left] if left.inputs else []
    receipt = Receipt(num_measured=num_measured, failures=tuple(failures))
    return receipt, replace(unit, measures=tuple(measures), generation=generation)
