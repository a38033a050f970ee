"""Two stores, or two sets of runs of them, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.comparison.numbers import NumberRow, Pairing, compare_numbers, pair_runs
from grokprobe.comparison.settings import SettingDifference, compare_settings, find_missing
from grokprobe.comparison.sides import Side, parse_side
from grokprobe.derive.equal_loss import find_equal_loss
from grokprobe.derive.run_values import collect_run_values
from grokprobe.errors import UsageError
from grokprobe.markup import render_block
from grokprobe.plots import ExperimentResults, read_experiments
from grokprobe.plots.labels import scale_label
from grokprobe.report.evidence import Run, read_curve
from grokprobe.report.regimes import describe_unit
from grokprobe.report.wording import say_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One experiment of each side."""

    #: Name of the experiment of the first side, with the runs that were chosen.
    a: str
    #: The same of the second.
    b: str
    #: Every number that both have, at the last epoch or at equal loss; see ``headlines``.
    numbers: tuple[NumberRow, ...]
    #: Parameters, versions, options and epochs that differ.
    settings: tuple[SettingDifference, ...]
    #: Groups, variables and runs that only the first side has.
    only_a: tuple[str, ...]
    #: The same of the second.
    only_b: tuple[str, ...]
    #: How runs were matched, and what could not be.
    notes: tuple[str, ...]
    #: The runs of the first side, to draw: until the epoch at which they were compared.
    results_a: ExperimentResults
    #: The same of the second.
    results_b: ExperimentResults

    @property
    def headlines(self) -> tuple[NumberRow, ...]:
        """The numbers that are no mere details."""
        return tuple(row for row in self.numbers if row.is_headline)

    @property
    def is_equal(self) -> bool:
        """Whether all numbers and settings are equal and nothing is on one side alone."""
        differs = self.settings or self.only_a or self.only_b
        return not differs and all(row.is_equal for row in self.numbers)

    def _repr_html_(self) -> str:
        rows = [
            (row.name, "" if row.init_scale is None else scale_label(row.init_scale), *numbers, row.num_a)
            for row in self.headlines
            for numbers in [tuple(map(say_number, (row.a, row.b, row.difference)))]
        ]
        lines = [f"{setting.name}: {setting.a} and {setting.b}" for setting in self.settings]
        lines += [f"only in A: {name}" for name in self.only_a] + [f"only in B: {name}" for name in self.only_b]
        header = ("number", "init_scale", "A", "B", "difference", "n")
        return render_block(f"A: {self.a}; B: {self.b}", header=header, rows=rows, lines=[*self.notes, *lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreComparison:
    """All experiments of both sides."""

    #: One for each pair.
    experiments: tuple[Comparison, ...]
    #: Names of experiments that only the first side has.
    only_a: tuple[str, ...]
    #: The same of the second.
    only_b: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.only_a or self.only_b) and all(pair.is_equal for pair in self.experiments)

    def _repr_html_(self) -> str:
        return "".join(pair._repr_html_() for pair in self.experiments)


def compare(a: str | Side, b: str | Side, *, at_equal_loss: bool = False) -> StoreComparison:
    """Compares two stores, two experiments, or two choices of runs.

    Experiments of one name are compared; where each side has one alone, these two. Runs of equal seed and init_scale
    are pairs, and where each side has one init_scale, or one seed, that may differ between the sides.

    Args:
        a: as of :func:`~grokprobe.comparison.sides.parse_side`: ``results.zarr``, ``results.zarr::init_scale=1``.
        b: the same; ``::init_scale=10`` is of the store of ``a``.
        at_equal_loss: compares each pair of runs where both have the larger of their two final test losses, instead of
            at the end. The numbers of ``summary``, which are of whole runs, are left out.

    Raises:
        UsageError: there is no results store, experiment or run of that name, nothing to compare, or no pairs with a
            known test loss where they are needed.
        StoreError: a store has a newer format than this version, or cannot be reached.
    """
    side_a = parse_side(a) if isinstance(a, str) else a
    side_b = parse_side(b, side_a.store) if isinstance(b, str) else b
    found_a, found_b = (_read(side) for side in (side_a, side_b))
    shared = [(name, name) for name in found_a if name in found_b]
    if len(found_a) == len(found_b) == 1:
        shared = [(next(iter(found_a)), next(iter(found_b)))]
    if not shared:
        raise UsageError(
            f"no experiment is on both sides: {', '.join(found_a)} in {side_a}, {', '.join(found_b)} in {side_b};"
            " name one of each with STORE::EXPERIMENT"
        )
    pairs = tuple(
        _compare(_Chosen(side_a, found_a[x]), _Chosen(side_b, found_b[y]), at_equal_loss=at_equal_loss)
        for x, y in shared
    )
    return StoreComparison(
        experiments=pairs,
        only_a=tuple(sorted(found_a.keys() - {x for x, _ in shared})),
        only_b=tuple(sorted(found_b.keys() - {y for _, y in shared})),
    )


class _Chosen:
    """The runs of one side."""

    def __init__(self, side: Side, results: ExperimentResults) -> None:
        self.runs = side.choose_runs(results)
        self.results = side.restrict(results)
        chosen = str(Side(store=side.store, experiment=results.name, seeds=side.seeds, init_scales=side.init_scales))
        self.label = chosen


def _read(side: Side) -> dict[str, ExperimentResults]:
    experiments = {results.name: results for results in read_experiments(side.store)}
    if not experiments:
        raise UsageError(f"{side.store} holds no experiment yet; grokprobe analyze adds one")
    if side.experiment and side.experiment not in experiments:
        raise UsageError(f"{side.store} has no experiment {side.experiment!r}; it has {', '.join(experiments)}")
    return {side.experiment: experiments[side.experiment]} if side.experiment else experiments


def _compare(a: _Chosen, b: _Chosen, *, at_equal_loss: bool) -> Comparison:
    pairing = pair_runs(a.runs, b.runs)
    notes: list[str] = []
    shown_a, shown_b = a.results, b.results
    if at_equal_loss:
        epochs_a, epochs_b = _match(a, b, pairing, notes)
        shown_a, shown_b = a.results.until(epochs_a), b.results.until(epochs_b)
    if not pairing.is_paired:
        notes.append("no seed is on both sides: medians of each side are compared, not pairs of runs")
    hidden = {names.SUMMARY} if at_equal_loss else set()
    values_a, values_b = (_collect(shown, hidden) for shown in (shown_a, shown_b))
    runs = _missing_runs(pairing) if pairing.is_paired else ((), ())
    return Comparison(
        a=a.label,
        b=b.label,
        numbers=tuple(compare_numbers(values_a, values_b, pairing)),
        settings=compare_settings(a.results, b.results),
        only_a=(*find_missing(a.results, b.results), *runs[0]),
        only_b=(*find_missing(b.results, a.results), *runs[1]),
        notes=tuple(notes),
        results_a=shown_a,
        results_b=shown_b,
    )


def _collect(results: ExperimentResults, hidden: set[str]) -> xr.Dataset:
    groups = {f"/{path}": group for path, group in results.groups.items() if path not in hidden}
    return collect_run_values(xr.DataTree.from_dict(groups))


def _missing_runs(pairing: Pairing) -> tuple[tuple[str, ...], tuple[str, ...]]:
    paired = [{pair[place] for pair in pairing.all_pairs} for place in range(2)]
    sides = [sorted({run for runs in pairing.runs.values() for run in runs[place]}) for place in range(2)]
    missing_a, missing_b = (
        tuple(f"the run {_name(run)}" for run in side if run not in known)
        for side, known in zip(sides, paired, strict=True)
    )
    return missing_a, missing_b


def _match(a: _Chosen, b: _Chosen, pairing: Pairing, notes: list[str]) -> tuple[Mapping[Run, int], Mapping[Run, int]]:
    """Returns the epoch of every run of a pair at which both have the larger of their final test losses."""
    epochs_a: dict[Run, int] = {}
    epochs_b: dict[Run, int] = {}
    for x, y in pairing.all_pairs if pairing.is_paired else ():
        curves = [_test_loss(side.results, run) for side, run in ((a, x), (b, y))]
        if not all(len(losses) for _, losses in curves):
            continue
        target = max(float(losses[-1]) for _, losses in curves)
        at = [find_equal_loss(epochs, losses, target) for epochs, losses in curves]
        if at[0] is None or at[1] is None:
            continue
        epochs_a[x], epochs_b[y] = at[0].epoch, at[1].epoch
        unit = describe_unit(a.results)
        far = "" if at[0].is_near and at[1].is_near else "; they never come near each other"
        notes.append(
            f"A {_name(x)} at {unit} {at[0].epoch} has test loss {say_number(at[0].loss, 4)},"
            f" B {_name(y)} at {unit} {at[1].epoch} has {say_number(at[1].loss, 4)}{far}"
        )
    if not epochs_a:
        raise UsageError(f"{a.label} and {b.label}: no pair of runs has a known test loss on both sides")
    return epochs_a, epochs_b


def _test_loss(results: ExperimentResults, run: Run) -> tuple[np.ndarray, np.ndarray]:
    if results.history is None:
        return np.empty(0), np.empty(0)
    epochs, losses = read_curve(results.history, names.TEST_LOSS, run)
    is_known = np.isfinite(losses) & (losses > 0)
    return epochs[is_known], losses[is_known]


def _name(run: Run) -> str:
    return f"seed {run[0]}, init_scale {scale_label(run[1])}"
