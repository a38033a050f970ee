"""The loop over checkpoints: the only one.

A unit of work is one run, one aligned block of epochs and every measure asked for there, so a checkpoint is loaded
once. :func:`run_unit` is a pure function of the unit; what it measures goes into the store, what it returns is small.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

import torch

from grokprobe.binding import BoundRun
from grokprobe.context import CheckpointContext, Surroundings
from grokprobe.errors import GrokprobeError, StoreError, reporting_write_errors
from grokprobe.executors import check_wanted
from grokprobe.interfaces import Requirement
from grokprobe.loading import build_loader
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.status import Status
from grokprobe.store import Coordinate, Cube, Entry, LedgerWriter, ResultsStore, Row, next_generation, read_ledger
from grokprobe.units import Failure, Receipt, Unit, UnitMeasure, describe, split_begun
from grokprobe.variables import Measurement, check_measurement

#: Results are written at least this often within a unit, so that a kill loses little of a slow one.
FLUSH_SECONDS: Final = 30.0
#: Checkpoints at which a new measure is tried for the coordinates of its variables.
FIRST_ATTEMPTS: Final = 8


def run_unit(unit: Unit) -> Receipt:
    """Measures a unit and writes it to the store.

    A unit that was begun before, by a worker that died or was lost sight of, is taken up where the ledger says, after
    that worker has ended; then every epoch is written as soon as it is measured.

    Raises:
        StoreWriteError: the store cannot be written; what was written before stands.
        WithdrawnError: nobody waits for the result any more; likewise.
    """
    torch.set_num_threads(1)  # also in a worker of somebody else's executor: the last digits depend on it
    store = ResultsStore(unit.store)
    with store.writers.hold(unit.key) as was_begun:
        if not was_begun:
            return _carry_out(unit, FLUSH_SECONDS)
        entries = read_ledger(store.ledger, since=unit.generation)
        done, left = split_begun(unit, entries, next_generation(store.ledger))
        return done + _carry_out(left, 0.0)


def _carry_out(unit: Unit, flush_seconds: float) -> Receipt:
    writers = [_CellWriter(unit, measure) for measure in unit.measures]
    surroundings = build_surroundings(unit.run, unit.device, [wanted.measure for wanted in unit.measures])
    num_measured: Counter[str] = Counter()
    failures, flushed = [], time.monotonic()
    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.flush)  # also when interrupted: what is measured is kept
        for epoch in unit.epochs:
            check_wanted()
            for writer in writers:
                if epoch not in writer.wanted.inputs:
                    continue
                row, reason = (
                    (writer.row(epoch, Status.FAILED), unit.fault)
                    if unit.fault
                    else _measure(surroundings, unit.run, epoch, writer)
                )
                writer.add(epoch, row, reason)
                num_measured[writer.wanted.measure.group] += row.status is Status.OK
                if reason:
                    failures.append(Failure(where=describe(unit.coordinate(writer.wanted, epoch)), reason=reason))
            if time.monotonic() - flushed > flush_seconds:
                for writer in writers:
                    writer.flush()
                flushed = time.monotonic()
    return Receipt(num_measured=num_measured, failures=tuple(failures))


def build_surroundings(run: BoundRun, device: str, measures: Iterable[PlannedMeasure]) -> Surroundings:
    """Returns what the Contexts of a run share, with a loader that suits the measures."""
    is_evaluated = any(Requirement.MODEL in measure.requires for measure in measures)
    place = torch.device(device)
    return run.surroundings(place, build_loader(run.reading, place, is_evaluated=is_evaluated))


def measure_first(measure: PlannedMeasure, runs: list[BoundRun], device: str) -> Measurement | None:
    """Returns the measurement of the first checkpoint at which ``measure`` succeeds, for its coordinates.

    At most :data:`FIRST_ATTEMPTS` checkpoints are tried, spread over all runs.
    """
    candidates = [
        (run, epoch) for run in runs for epoch, checkpoint in run.checkpoints.items() if not checkpoint.problem
    ]
    for run, epoch in candidates[:: max(1, -(-len(candidates) // FIRST_ATTEMPTS))]:
        context = CheckpointContext(
            build_surroundings(run, device, [measure]), epoch, _identity(measure), measure.options
        )
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
        self._entries[self._unit.coordinate(self.wanted, epoch)] = entry

    def flush(self) -> None:
        """Writes what was taken since the last flush: data first, then the ledger's line."""
        if not self._rows:
            return
        with reporting_write_errors(self._unit.store):
            missing = Entry(status=Status.MISSING, inputs="")
            replaced = [epoch for epoch in self._rows if epoch in self.wanted.replaced]
            self._ledger.append({self._unit.coordinate(self.wanted, epoch): missing for epoch in replaced})
            self.cube.write(self._unit.run.identity, self._rows, self.wanted.kept | self._written)
            self._ledger.append(self._entries)
        self._written |= frozenset(self._rows)
        self._rows, self._entries = {}, {}

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
