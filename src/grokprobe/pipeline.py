"""The loop over checkpoints: the only one.

A unit of work is one run, one aligned block of epochs and every measure asked for there, so a checkpoint is loaded
once. :func:`run_unit` is a pure function of the unit; what it measures goes into the store, what it returns is small.
"""

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from grokprobe.binding import BoundRun
from grokprobe.checkpoints import read_checkpoint
from grokprobe.context import CheckpointContext, Surroundings
from grokprobe.errors import GrokprobeError, StoreError, reporting_write_errors
from grokprobe.interfaces import Parameters
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.status import Status
from grokprobe.store import Coordinate, Cube, Entry, LedgerWriter, ResultsStore, Row
from grokprobe.variables import Measurement, check_measurement

#: Results are written at least this often within a unit, so that a kill loses little of a slow one.
FLUSH_SECONDS: Final = 30.0
#: Checkpoints of a run kept in memory: this one, its neighbours, the first and the last.
LOADED_CHECKPOINTS: Final = 5
#: Checkpoints at which a new measure is tried for the coordinates of its variables.
FIRST_ATTEMPTS: Final = 8


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

    #: The store, and the ledger's generation.
    store: Path
    generation: int
    #: Name of the experiment.
    experiment: str
    #: The run.
    run: BoundRun
    #: Digest of each checkpoint of the block.
    digests: Mapping[int, str]
    #: The measures.
    measures: tuple[UnitMeasure, ...]
    #: Where to compute.
    device: str

    @property
    def epochs(self) -> list[int]:
        """Epochs that at least one measure wants, ascending."""
        return sorted({epoch for measure in self.measures for epoch in measure.inputs})


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


def run_unit(unit: Unit) -> Receipt:
    """Measures a unit and writes it to the store.

    Raises:
        StoreWriteError: the store cannot be written; what was written before stands.
    """
    torch.set_num_threads(1)  # also in a worker of somebody else's executor: the last digits depend on it
    writers = [_CellWriter(unit, measure) for measure in unit.measures]
    surroundings = build_surroundings(unit.run, unit.device)
    num_measured: Counter[str] = Counter()
    failures, flushed = [], time.monotonic()
    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.flush)  # also when interrupted: what is measured is kept
        for epoch in unit.epochs:
            for writer in writers:
                if epoch not in writer.wanted.inputs:
                    continue
                row, reason = _measure(surroundings, unit.run, epoch, writer)
                writer.add(epoch, row, reason)
                num_measured[writer.wanted.measure.group] += row.status is Status.OK
                if reason:
                    failures.append(Failure(where=writer.describe(epoch), reason=reason))
            if time.monotonic() - flushed > FLUSH_SECONDS:
                for writer in writers:
                    writer.flush()
                flushed = time.monotonic()
    return Receipt(num_measured=num_measured, failures=tuple(failures))


def build_surroundings(run: BoundRun, device: str) -> Surroundings:
    """Returns what the Contexts of a run share, with a loader that keeps the last few checkpoints."""

    @functools.lru_cache(maxsize=LOADED_CHECKPOINTS)
    @torch.inference_mode(False)  # what is kept is for all measures: the first may be in that mode
    def load(epoch: int) -> Parameters:
        checkpoint = run.checkpoints[epoch]
        content = read_checkpoint(checkpoint.path, state_dict_key=run.state_dict_key, member=checkpoint.member)
        return {name: tensor.to(device) for name, tensor in content.parameters.items()}

    return run.surroundings(torch.device(device), load)


def measure_first(measure: PlannedMeasure, runs: list[BoundRun], device: str) -> Measurement | None:
    """Returns the measurement of the first checkpoint at which ``measure`` succeeds, for its coordinates.

    At most :data:`FIRST_ATTEMPTS` checkpoints are tried, spread over all runs.
    """
    candidates = [
        (run, epoch) for run in runs for epoch, checkpoint in run.checkpoints.items() if not checkpoint.problem
    ]
    for run, epoch in candidates[:: max(1, -(-len(candidates) // FIRST_ATTEMPTS))]:
        context = CheckpointContext(build_surroundings(run, device), epoch, _identity(measure), measure.options)
        with contextlib.suppress(Exception):  # recorded as a failure when the unit comes to it
            measurement = measure.probe.measure(context)
            check_measurement(measure.specs, measurement)
            return measurement
    return None


class _CellWriter:
    """Collects the rows of one measure in one work cell and writes them."""

    def __init__(self, unit: Unit, wanted: UnitMeasure) -> None:
        self.wanted = wanted
        self.cube: Cube = ResultsStore(unit.store).cube(f"{unit.experiment}/{wanted.measure.group}")
        self._unit = unit
        self._ledger = LedgerWriter(ResultsStore(unit.store).ledger, unit.generation)
        self._rows: dict[int, Row] = {}
        self._entries: dict[Coordinate, Entry] = {}
        self._written: frozenset[int] = frozenset()
        self._has_variables = self.cube.has_variables(wanted.measure.specs)

    def add(self, epoch: int, row: Row, reason: str) -> None:
        """Takes the result at one epoch."""
        self._rows[epoch] = row
        entry = Entry(status=row.status, inputs=self.wanted.inputs[epoch], error=reason)
        self._entries[self._coordinate(epoch)] = entry

    def flush(self) -> None:
        """Writes what was taken since the last flush: data first, then the ledger's line."""
        if not self._rows:
            return
        run = self._unit.run.coordinates
        with reporting_write_errors(self._unit.store):
            missing = Entry(status=Status.MISSING, inputs="")
            replaced = [epoch for epoch in self._rows if epoch in self.wanted.replaced]
            self._ledger.append({self._coordinate(epoch): missing for epoch in replaced})
            self.cube.write((run.seed, run.init_scale), self._rows, self.wanted.kept | self._written)
            self._ledger.append(self._entries)
        self._written |= frozenset(self._rows)
        self._rows, self._entries = {}, {}

    def describe(self, epoch: int) -> str:
        """Returns where a result is, for people."""
        run = self._unit.run.coordinates
        return f"{self.cube.path} seed {run.seed} init_scale {run.init_scale:g} epoch {epoch}"

    def row(self, epoch: int, status: Status, measurement: Measurement | None = None) -> Row:
        """Returns a row, its values checked against specifications and coordinates.

        Raises:
            VariableError: a value contradicts its specification.
            StoreError: coordinates differ from those of the store.
        """
        values = {}
        if measurement is not None:
            values = check_measurement(self.wanted.measure.specs, measurement)
            if not self._has_variables:
                raise StoreError("it failed when its variables were to be created; --retry-failed tries again")
            self.cube.check_coordinates(measurement.coordinates)
        return Row(values=values, status=status, checkpoint_digest=self._unit.digests[epoch])

    def _coordinate(self, epoch: int) -> Coordinate:
        run = self._unit.run.coordinates
        return Coordinate(self.cube.path, run.seed, run.init_scale, epoch)


def _measure(surroundings: Surroundings, run: BoundRun, epoch: int, writer: _CellWriter) -> tuple[Row, str]:
    checkpoint = run.checkpoints[epoch]
    if checkpoint.problem:
        return writer.row(epoch, Status.REFUSED if checkpoint.refused else Status.FAILED), checkpoint.problem
    measure = writer.wanted.measure
    try:
        context = CheckpointContext(surroundings, epoch, _identity(measure), measure.options)
        return writer.row(epoch, Status.OK, measure.probe.measure(context)), ""
    except Exception as error:  # noqa: BLE001 - a failing measure is data: recorded, reported, and never ends the run
        reason = str(error) if isinstance(error, GrokprobeError) else f"{type(error).__name__}: {error}"
        return writer.row(epoch, Status.FAILED), " ".join(reason.split())


def _identity(measure: PlannedMeasure) -> tuple[str, str]:
    return measure.group, measure.probe.version
