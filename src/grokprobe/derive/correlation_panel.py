"""How one number of each run goes with many others."""

from typing import Any, Final

import numpy as np
import xarray as xr
from scipy import stats

from grokprobe import names
from grokprobe.derive.labels import assemble_derived
from grokprobe.errors import UsageError
from grokprobe.variables import VariableSpec

UNDEFINED: Final = float("nan")
#: Two points always lie on a line.
MIN_RUNS: Final = 3


def _spec(name: str, description: str, lowest: float, highest: float | None = 1.0) -> VariableSpec:
    return VariableSpec(name=name, description=description, bounds=(lowest, highest), reference="grokprobe")


PANEL_SPECS: Final = (
    _spec("num_runs", "number of runs at which both numbers are finite", 0, None),
    _spec("pearson", "Pearson's r; NaN with fewer than 3 runs, or if either number is the same at all of them", -1),
    _spec("pearson_p", "two-sided p-value of r = 0 for normal variables (Student's t, n − 2 degrees of freedom)", 0),
    _spec("spearman", "Spearman's rank correlation, ties at their mean rank; NaN where Pearson's r is", -1),
    _spec("spearman_p", "two-sided p-value of no rank correlation (Student's t, n − 2 degrees of freedom)", 0),
)


def correlate_runs(target: xr.DataArray, others: xr.Dataset, runs: xr.DataArray | None = None) -> xr.Dataset:
    """Correlates one number a run with every other: the panels of compressibility against loss, norm, Gini and so on.

    No p-value is corrected for the number of panels. Runs count as independent, which those of one seed at several
    scales are not: they share their split and the direction of their initialisation.

    Args:
        target: one number a run, over ``(seed, init_scale)``.
        others: further numbers over the same dimensions; runs are matched by their coordinates.
        runs: which runs count, such as ``summary.groks == 0``; None for all.

    Returns:
        The variables of :data:`PANEL_SPECS` over ``variable``, the names of ``others``.

    Raises:
        UsageError: dimensions differ from those of ``target``.

    Reference:
        arXiv 2502.01739, Fig. 15-17 and 19.

    Example:
        >>> c = xr.DataArray([4.0, 2.0, 1.0], coords={"seed": [0, 1, 2]})
        >>> panel = correlate_runs(c, xr.Dataset({"norm": 3 - c, "square": c**2}))
        >>> assert abs(panel.pearson.sel(variable="norm") + 1) < 1e-12
        >>> assert panel.spearman.sel(variable="square") == 1 > panel.pearson.sel(variable="square")
    """
    chosen = target if runs is None else target.where(runs)
    rows = []
    for name, other in others.data_vars.items():
        if set(other.dims) != set(chosen.dims):
            raise UsageError(f"expected one number a run over {chosen.dims}, found {name} over {other.dims}")
        one, two = xr.align(chosen, other.transpose(*chosen.dims), join="inner")
        rows.append(_correlate(one.to_numpy().ravel(), two.to_numpy().ravel()))
    coordinates = {names.VARIABLE: [str(name) for name in others.data_vars]}
    variables = {
        spec.name: xr.DataArray([row[place] for row in rows], dims=names.VARIABLE, coords=coordinates)
        for place, spec in enumerate(PANEL_SPECS)
    }
    return assemble_derived(variables, PANEL_SPECS)


def _correlate(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    is_known = np.isfinite(x) & np.isfinite(y)
    x, y = x[is_known], y[is_known]
    if len(x) < MIN_RUNS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return len(x), UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED
    results: list[Any] = [stats.pearsonr(x, y), stats.spearmanr(x, y)]  # scipy does not say what its results hold
    return (len(x), *(float(value) for result in results for value in (result.statistic, result.pvalue)))
