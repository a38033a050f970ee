"""The numbers of two sets of runs, seed by seed where both have it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.report.evidence import Run

_NAN: Final = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRow:
    """One number of the runs of one init_scale on both sides."""

    #: Its place, ``probes/fourier/ipr_mean[input_a]``.
    name: str
    #: Its units, ``1`` for a pure number.
    units: str
    #: Whether it is one of the headline numbers.
    is_headline: bool
    #: The init_scale; None where each side has one and they differ.
    init_scale: float | None
    #: Median of the first side; NaN without a value.
    a: float
    #: Median of the second.
    b: float
    #: Median of the differences of the pairs, second less first; of unpaired runs the difference of the medians.
    difference: float
    #: Second median over the first; NaN where that is zero.
    ratio: float
    #: Runs with a value on the first side; with pairs, the pairs with both.
    num_a: int
    #: The same of the second side.
    num_b: int
    #: Whether runs were compared in pairs.
    is_paired: bool
    #: Whether every pair has equal numbers, undefined ones included; where there is no pair, whether none has any.
    is_equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which runs are compared with which."""

    #: init_scale of the row → pairs of runs, the first of the first side.
    pairs: Mapping[float | None, tuple[tuple[Run, Run], ...]]
    #: init_scale of the row → the runs of each side.
    runs: Mapping[float | None, tuple[tuple[Run, ...], tuple[Run, ...]]]
    #: Whether runs are compared in pairs: not if several seeds have none in common.
    is_paired: bool

    @property
    def all_pairs(self) -> tuple[tuple[Run, Run], ...]:
        """Every pair."""
        return tuple(pair for pairs in self.pairs.values() for pair in pairs)


def pair_runs(a: tuple[Run, ...], b: tuple[Run, ...]) -> Pairing:
    """Returns which runs are compared: those of equal seed and init_scale.

    Where each side has one init_scale and they differ, that is what is compared, and runs of equal seed are pairs;
    likewise where each has one seed. Several seeds of which none is on both sides are compared without pairs.
    """
    scales = [sorted({scale for _, scale in runs}) for runs in (a, b)]
    seeds = [sorted({seed for seed, _ in runs}) for runs in (a, b)]
    one_scale = len(scales[0]) == len(scales[1]) == 1 and scales[0] != scales[1]
    one_seed = len(seeds[0]) == len(seeds[1]) == 1
    by_scale: dict[float | None, tuple[tuple[Run, ...], tuple[Run, ...]]] = {}
    for scale in [None] if one_scale else sorted({*scales[0], *scales[1]}):
        of_scale = [tuple(run for run in runs if scale in (None, run[1])) for runs in (a, b)]
        by_scale[scale] = of_scale[0], of_scale[1]
    pairs = {
        scale: tuple((x, y) for x in of_a for y in of_b if one_seed or x[0] == y[0])
        for scale, (of_a, of_b) in by_scale.items()
    }
    return Pairing(pairs=pairs, runs=by_scale, is_paired=bool(set(seeds[0]) & set(seeds[1])) or one_seed)


def compare_numbers(a: xr.Dataset, b: xr.Dataset, pairing: Pairing) -> Iterator[NumberRow]:
    """Yields every number that both sides have, for every init_scale.

    Args:
        a: one number a run and variable, as of :func:`~grokprobe.derive.run_values.collect_run_values`.
        b: the same of the other side.
        pairing: which runs are compared. Of pairs those count that have a value on both sides; where there is none, the
            runs of each side that have one.
    """
    for name in sorted(set(map(str, a.data_vars)) & set(map(str, b.data_vars))):
        of_a, of_b = _look_up(a[name]), _look_up(b[name])
        for scale, (runs_a, runs_b) in pairing.runs.items():
            pairs = [(of_a.get(x, _NAN), of_b.get(y, _NAN)) for x, y in pairing.pairs[scale]]
            known = [pair for pair in pairs if not np.isnan(pair).any()]
            if pairing.is_paired and known:
                first, second = np.array(known).T
            else:
                first, second = (
                    np.array([of_side[run] for run in runs if not np.isnan(of_side.get(run, _NAN))])
                    for of_side, runs in ((of_a, runs_a), (of_b, runs_b))
                )
            is_equal = all(x == y or np.isnan([x, y]).all() for x, y in pairs) and (
                pairs or not len(first) + len(second)
            )
            values = _summarise(first, second, is_paired=pairing.is_paired and bool(known))
            attributes = a[name].attrs
            yield NumberRow(
                name=name,
                units=str(attributes.get("units", "")),
                is_headline="headline" in attributes,
                init_scale=scale,
                is_equal=bool(is_equal),
                **values,
            )


class _Medians(TypedDict):
    """What is said of the numbers of both sides, as of :class:`NumberRow`."""

    a: float
    b: float
    difference: float
    ratio: float
    num_a: int
    num_b: int
    is_paired: bool


def _summarise(first: np.ndarray, second: np.ndarray, *, is_paired: bool) -> _Medians:
    a, b = (float(np.median(column)) if column.size else _NAN for column in (first, second))
    with np.errstate(invalid="ignore", over="ignore"):  # the difference of two infinities is undefined
        difference = float(np.median(second - first)) if is_paired else float(np.subtract(b, a))
        ratio = float(np.divide(b, a)) if a else _NAN
    return _Medians(
        a=a, b=b, difference=difference, ratio=ratio, num_a=len(first), num_b=len(second), is_paired=is_paired
    )


def _look_up(values: xr.DataArray) -> dict[Run, float]:
    table = values.transpose(*names.SUMMARY_DIMS).to_numpy()
    seeds, scales = (values[dim].to_numpy().tolist() for dim in names.SUMMARY_DIMS)
    return {(seed, scale): float(table[i, j]) for i, seed in enumerate(seeds) for j, scale in enumerate(scales)}
