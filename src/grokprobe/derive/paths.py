"""What follows from the steps of a run in any metric: length, straightness, and the grokking period."""

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.numerics.turning_points import (
    compute_central_gradient,
    compute_running_median,
    find_even_stretches,
    find_longest_rise,
)
from grokprobe.variables import VariableSpec

STEP_NORM: Final = "step_norm"
STEP_EPOCHS: Final = "step_epochs"
CHORD_NORM: Final = "chord_norm"
CHORD_EPOCHS: Final = "chord_epochs"
STRAIGHTNESS: Final = "straightness"

_SPEED: Final = (
    "step_norm / step_epochs, after a running median of 5, within stretches of evenly spaced checkpoints and steps"
)
_FIGURE_33: Final = "arXiv 2502.01739, Fig. 33"

#: Over (seed, init_scale, epoch), beside what is measured at each checkpoint.
PATH_SPECS: Final = (
    VariableSpec(
        name="path_length",
        units="metric",
        bounds=(0, None),
        description=(
            "Sum of step_norm over the steps from the run's first stored checkpoint to this one; NaN where no steps"
            " join the two: beyond a checkpoint that was not measured, and, with a stride, between those that its"
            " steps from the first checkpoint reach."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="step_norm_gradient",
        units="metric/epoch^2",
        description=(
            f"Central difference over epochs of the speed {_SPEED}, which is placed at the start of the step; NaN at"
            " the three outermost checkpoints on each side of a stretch."
        ),
        reference=_FIGURE_33,
    ),
    VariableSpec(
        name=STRAIGHTNESS,
        bounds=(0, None),
        description=(
            "chord_norm / path_length: 1 on a straight line in the Euclidean metric, which no path exceeds there; in"
            " any other metric the two are measured at different places and the ratio can exceed 1. NaN at the first"
            " checkpoint and where one of the two is undefined."
        ),
        reference="grokprobe",
    ),
)

#: Over (seed, init_scale), in the group ``summary`` under ``geometry.<label>.<name>``.
PERIOD_SPECS: Final = (
    VariableSpec(
        name="period_start",
        units="epochs",
        bounds=(0, None),
        description=(
            "Where the grokking period starts: upward zero crossing of step_norm_gradient, by linear interpolation. Of"
            " all rises between an upward and the next downward crossing it is the one that spans the most checkpoints,"
            " the first one if there are several; NaN if there is none."
        ),
        reference=_FIGURE_33,
    ),
    VariableSpec(
        name="period_end",
        units="epochs",
        bounds=(0, None),
        description="Where the grokking period ends: downward zero crossing of step_norm_gradient after period_start.",
        reference=_FIGURE_33,
    ),
    VariableSpec(
        name="period_rise",
        bounds=(1, None),
        description=f"Largest over smallest speed ({_SPEED}) of the grokking period; near 1 the rise is noise.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="period_crossings",
        bounds=(0, None),
        description=(
            "Number of zero crossings of step_norm_gradient over the run: 2 where the grokking period is the only rise"
            " and fall."
        ),
        reference="grokprobe",
    ),
)


def path_specs(measured: Container[str]) -> tuple[VariableSpec, ...]:
    """Returns the specifications of what :func:`derive_path` gives for a dataset, or for the names of its variables."""
    return tuple(spec for spec in PATH_SPECS if spec.name != STRAIGHTNESS or CHORD_NORM in measured)


def period_specs(label: str) -> tuple[VariableSpec, ...]:
    """Returns the specifications of :func:`find_grokking_period` for the metric of a label, as in ``summary``."""
    prefix = f"{names.GEOMETRY}.{label}"
    return tuple(
        replace(spec, name=f"{prefix}.{spec.name}", description=f"{spec.description} In {prefix.replace('.', '/')}.")
        for spec in PERIOD_SPECS
    )


def derive_path(measured: xr.Dataset) -> xr.Dataset:
    """Returns length, straightness and gradient of the speed along every run, in ascending order of epochs.

    A run is followed from checkpoint to checkpoint by ``step_epochs``, so a step that was not measured ends the path.

    Args:
        measured: a group ``geometry/<label>``: ``step_norm``, ``step_epochs``, ``chord_epochs`` and, for the
            straightness, ``chord_norm`` over ``epoch`` and any other dimensions, in any order of epochs.

    Returns:
        The variables of :func:`path_specs`.
    """
    measured = measured.sortby(names.EPOCH)
    length = _along_epochs(_follow, measured, (STEP_NORM, STEP_EPOCHS, CHORD_EPOCHS))
    derived = xr.Dataset(
        {
            "path_length": length,
            "step_norm_gradient": _along_epochs(_compute_gradient, measured, (STEP_NORM, STEP_EPOCHS)),
        }
    )
    if CHORD_NORM in measured:
        with xr.set_options(keep_attrs=False):  # those of the chord describe something else
            derived[STRAIGHTNESS] = measured[CHORD_NORM].where(length > 0) / length
    return derived


def find_grokking_period(measured: xr.Dataset) -> xr.Dataset:
    """Returns the grokking period of every run: where its speed rises from a minimum to a maximum.

    While it fits the training data a network slows down; where it then groks it speeds up again, until it generalises
    and comes to rest. The crossings are sought in each stretch of evenly spaced checkpoints by itself.

    Args:
        measured: as for :func:`derive_path`; no chord is needed.

    Returns:
        The variables of :data:`PERIOD_SPECS` over the dimensions other than ``epoch``.

    Reference:
        arXiv 2502.01739, Fig. 33: the two zero crossings of the gradient bound the grokking period.
    """
    measured = measured.sortby(names.EPOCH)
    epochs = measured[names.EPOCH].to_numpy()
    found = xr.apply_ufunc(
        lambda norms, steps: _find_period(epochs, norms, steps),
        measured[STEP_NORM],
        measured[STEP_EPOCHS],
        input_core_dims=[[names.EPOCH]] * 2,
        output_core_dims=[["period"]],
        vectorize=True,
        output_dtypes=[np.float64],
        keep_attrs=False,
    )
    return xr.Dataset({spec.name: found.isel(period=place) for place, spec in enumerate(PERIOD_SPECS)})


def _along_epochs(
    function: Callable[..., np.ndarray], measured: xr.Dataset, variables: tuple[str, ...]
) -> xr.DataArray:
    epochs = measured[names.EPOCH].to_numpy()
    return xr.apply_ufunc(
        lambda *values: function(epochs, *values),
        *(measured[name] for name in variables),
        input_core_dims=[[names.EPOCH]] * len(variables),
        output_core_dims=[[names.EPOCH]],
        vectorize=True,
        output_dtypes=[np.float64],
        keep_attrs=False,
    )


def _follow(epochs: np.ndarray, norms: np.ndarray, steps: np.ndarray, since_start: np.ndarray) -> np.ndarray:
    """Returns the length of the path from where ``since_start`` is 0, following the steps."""
    lengths = np.full(len(epochs), np.nan)
    places = {epoch: place for place, epoch in enumerate(epochs.tolist())}
    here, length = next(iter(np.flatnonzero(since_start == 0).tolist()), None), 0.0
    while here is not None and np.isfinite(since_start[here]):
        lengths[here] = length
        if not np.isfinite(steps[here]):
            break
        length += norms[here]
        here = places.get(int(epochs[here] + steps[here]))
    return lengths


def _compute_gradient(epochs: np.ndarray, norms: np.ndarray, steps: np.ndarray) -> np.ndarray:
    gradient = np.full(len(epochs), np.nan)
    for places in _find_stretches(epochs, steps):
        gradient[places] = compute_central_gradient(epochs[places], _speed(norms[places], steps[places]))
    return gradient


def _find_period(epochs: np.ndarray, norms: np.ndarray, steps: np.ndarray) -> np.ndarray:
    stretches = _find_stretches(epochs, steps)
    rises = [find_longest_rise(epochs[places], _speed(norms[places], steps[places])) for places in stretches]
    if not rises:
        return np.full(len(PERIOD_SPECS), np.nan)
    best = max(rises, key=lambda rise: rise.num_samples)
    return np.array([best.start, best.stop, best.ratio, sum(rise.num_crossings for rise in rises)], dtype=np.float64)


def _find_stretches(epochs: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    """Returns the places of each even stretch; epochs that are none of the run's own do not interrupt one."""
    known = np.flatnonzero(np.isfinite(steps))
    return [known[stretch] for stretch in find_even_stretches(epochs[known], steps[known])]


def _speed(norms: np.ndarray, steps: np.ndarray) -> np.ndarray:
    return compute_running_median(norms / steps)
