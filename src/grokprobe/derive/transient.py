"""The transient peak of compressibility."""

from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.derive.labels import assemble_derived
from grokprobe.derive.last_value import last_known
from grokprobe.variables import VariableSpec

_REFERENCE: Final = "arXiv 2502.01739, Fig. 6 and 7"

PEAK_SPECS: Final = (
    VariableSpec(
        name="peak",
        description="largest value along the run, not smoothed, so noise makes it larger; NaN where none is known",
        reference=_REFERENCE,
    ),
    VariableSpec(
        name="peak_epoch",
        units="epochs",
        bounds=(0.0, None),
        description="epoch of the largest value, the first of several",
        reference=_REFERENCE,
    ),
    VariableSpec(name="final", description="value at the last epoch at which it is known", reference=_REFERENCE),
    VariableSpec(
        name="peak_excess",
        bounds=(0.0, None),
        description="height of the peak over the final value, peak / final − 1; 0 where the last value is the largest",
        reference=_REFERENCE,
    ),
    VariableSpec(
        name="epochs_after_plateau",
        units="epochs",
        description="peak_epoch − plateau_end_epoch: from where the test accuracy leaves chance to the peak",
        reference="grokprobe",
    ),
    VariableSpec(
        name="epochs_after_test_epoch",
        units="epochs",
        description="peak_epoch − test_epoch: from where the test accuracy saturates to the peak; negative before",
        reference=_REFERENCE,
    ),
)


def find_transient_peak(compressibility: xr.DataArray, summary: xr.Dataset) -> xr.Dataset:
    """Finds the largest compressibility along each run, and compares it with the final one and with the run's times.

    A network is most compressible shortly after its test accuracy saturates, and less so later: published is a peak of
    50 % over the final value in steady learning, and of 67 % in grokking.

    NaN is no value: epochs at which the compressibility is not known do not count, and a run without any has NaN
    throughout. Nothing is smoothed, and the epochs are those that were measured, so ``peak_epoch`` is as fine as they
    are.

    Args:
        compressibility: positive, over ``epoch`` and any other dimensions, in any order of epochs; any other quantity
            with a transient peak does as well.
        summary: ``test_epoch`` and ``plateau_end_epoch`` over ``(seed, init_scale)``; runs are matched by their
            coordinates, and those that only one of both has are left out.

    Returns:
        The variables of :data:`PEAK_SPECS` over the other dimensions, times in the units of ``test_epoch``.

    Reference:
        arXiv 2502.01739, Fig. 6 and 7.

    Example:
        >>> runs = {"seed": [0], "init_scale": [1.0]}
        >>> c = xr.DataArray([[[1.0, 6.0, 4.0]]], coords={**runs, "epoch": [0, 5, 10]})
        >>> times = {name: (("seed", "init_scale"), [[2.0]]) for name in ("test_epoch", "plateau_end_epoch")}
        >>> found = find_transient_peak(c, xr.Dataset(times, coords=runs)).squeeze()
        >>> assert (found.peak_epoch, found.peak_excess, found.epochs_after_test_epoch) == (5, 0.5, 3)
    """
    curve, test_epoch, plateau_end = xr.align(
        compressibility.sortby(names.EPOCH), summary["test_epoch"], summary["plateau_end_epoch"], join="inner"
    )
    epochs = curve[names.EPOCH].to_numpy()
    peak, peak_epoch = xr.apply_ufunc(
        lambda values: _peak_of(epochs, values),
        curve,
        input_core_dims=[[names.EPOCH]],
        output_core_dims=[[], []],
        vectorize=True,
        output_dtypes=[np.float64, np.float64],
    )
    final = last_known(curve)
    variables = {
        "peak": peak,
        "peak_epoch": peak_epoch,
        "final": final,
        "peak_excess": peak / final - 1,
        "epochs_after_plateau": peak_epoch - plateau_end,
        "epochs_after_test_epoch": peak_epoch - test_epoch,
    }
    return assemble_derived(variables, PEAK_SPECS, summary["test_epoch"].attrs.get("units"))


def _peak_of(epochs: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    if np.isnan(values).all():
        return float("nan"), float("nan")
    place = int(np.nanargmax(values))
    return float(values[place]), float(epochs[place])
