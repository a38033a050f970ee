"""What follows from a measured dataset: Dataset → Dataset."""

from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.history import HISTORY_SPECS
from grokprobe.variables import VariableSpec

DEFINITION_1: Final = "arXiv 2502.01739, Definition 1"
DEFINITION_2: Final = "arXiv 2502.01739, Definition 2"
#: A curve has arrived where it first reaches this fraction of its own maximum.
ARRIVAL_FRACTION: Final = 0.95
#: A curve that never rises by this fraction of the way from chance to 1 has not learned, and arrives nowhere.
LEARNED_FRACTION: Final = 0.5

SUMMARY_SPECS: Final = (
    VariableSpec(
        name="train_epoch",
        bounds=(0.0, None),
        units="epochs",
        description="t_train: first epoch with training accuracy ≥ 0.95 × its maximum; NaN unless it learned",
        reference=DEFINITION_1,
        headline=True,
    ),
    VariableSpec(
        name="test_epoch",
        bounds=(0.0, None),
        units="epochs",
        description="t_test: first epoch with test accuracy ≥ 0.95 × its maximum; NaN unless it learned",
        reference=DEFINITION_1,
        headline=True,
    ),
    VariableSpec(
        name="grokking_time",
        units="epochs",
        description="t_grok = t_test − t_train",
        reference=DEFINITION_1,
    ),
    VariableSpec(
        name="groks",
        bounds=(0.0, 1.0),
        description="1 if t_grok > t_train, else 0; NaN unless both curves learned",
        reference=DEFINITION_2,
        headline=True,
    ),
    VariableSpec(
        name="groks_margin",
        units="epochs",
        description="t_grok − t_train: how far the run is from the border of Definition 2",
        reference=DEFINITION_2,
        headline=True,
    ),
    *(
        VariableSpec(
            name=f"final_{spec.name}",
            bounds=spec.bounds,
            units=spec.units,
            description=f"{spec.description}; the last value of the history",
            reference="grokprobe",
            headline=spec.name == names.TEST_ACCURACY,
        )
        for spec in HISTORY_SPECS
    ),
)


def compute_arrival(epochs: np.ndarray, accuracy: np.ndarray, chance: float) -> float:
    """Returns the first epoch at which ``accuracy`` is within 5 % of its own maximum over the run.

    NaN unless the maximum reaches chance + ½ (1 − chance), so that a run that never learns does not arrive.
    Epochs at which the accuracy is NaN do not count.

    Args:
        epochs: ascending, shape (n,).
        accuracy: in [0, 1], shape (n,).
        chance: accuracy of guessing, in [0, 1).

    Reference: arXiv 2502.01739, Definition 1.

    Example:
        >>> compute_arrival(np.array([0, 1, 2, 3]), np.array([0.1, 0.5, 0.96, 1.0]), chance=0.1)
        2.0
    """
    known = np.isfinite(accuracy)
    if not known.any() or accuracy[known].max() < chance + LEARNED_FRACTION * (1 - chance):
        return float("nan")
    arrived = known & (accuracy >= ARRIVAL_FRACTION * accuracy[known].max())
    return float(epochs[np.argmax(arrived)])


def summarise(history: xr.Dataset, chance: float) -> xr.Dataset:
    """Returns times, regime and final values of every run, over ``(seed, init_scale)``.

    Args:
        history: variables of :data:`HISTORY_SPECS` over ``(seed, init_scale, epoch)``, in any order of epochs.
        chance: accuracy of guessing, in [0, 1).
    """
    history = history.sortby(names.EPOCH)
    epochs = history[names.EPOCH].to_numpy()

    def arrival(name: str) -> xr.DataArray:
        return xr.apply_ufunc(
            lambda accuracy: compute_arrival(epochs, accuracy, chance),
            history[name],
            input_core_dims=[[names.EPOCH]],
            vectorize=True,
            output_dtypes=[np.float64],
        )

    train_epoch, test_epoch = arrival(names.TRAIN_ACCURACY), arrival(names.TEST_ACCURACY)
    grokking_time = test_epoch - train_epoch
    margin = grokking_time - train_epoch
    final = {f"final_{spec.name}": last_known(history[spec.name]) for spec in HISTORY_SPECS}
    return xr.Dataset(
        {
            "train_epoch": train_epoch,
            "test_epoch": test_epoch,
            "grokking_time": grokking_time,
            "groks": (margin > 0).astype(np.float64).where(margin.notnull()),
            "groks_margin": margin,
            **final,
        }
    )


def last_known(variable: xr.DataArray) -> xr.DataArray:
    """Returns the value at the last epoch that is not NaN, along the other dimensions; NaN where there is none."""
    return xr.apply_ufunc(
        _last_finite,
        variable.sortby(names.EPOCH),
        input_core_dims=[[names.EPOCH]],
        vectorize=True,
        output_dtypes=[float],
    )


def _last_finite(values: np.ndarray) -> float:
    finite = values[~np.isnan(values)]
    return float(finite[-1]) if finite.size else float("nan")
