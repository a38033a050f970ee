"""The group ``summary``: times, regime and final values of every run, from its history."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.derive.last_value import last_known
from grokprobe.derive.times import (
    AUTHORS_FRACTION,
    compute_arrival,
    compute_plateau_end,
    compute_settling,
    compute_steepest_rise,
)
from grokprobe.history import HISTORY_SPECS
from grokprobe.variables import VariableSpec

DEFINITION_1: Final = "arXiv 2502.01739, Definition 1"
DEFINITION_2: Final = "arXiv 2502.01739, Definition 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeDefinition:
    """One way to say when a run has learned."""

    #: What the names of its variables end in; empty for the paper's definition.
    suffix: str
    #: (epochs, accuracy, chance) → epoch.
    compute: Callable[[np.ndarray, np.ndarray, float], float]
    #: The epoch in words; ``{accuracy}`` is the training or the test accuracy.
    description: str
    #: Where it comes from.
    reference: str


def _compute_authors_arrival(epochs: np.ndarray, accuracy: np.ndarray, chance: float) -> float:
    return compute_arrival(epochs, accuracy, chance, AUTHORS_FRACTION)


TIME_DEFINITIONS: Final = (
    TimeDefinition(
        suffix="",
        compute=compute_arrival,
        description="first epoch with {accuracy} ≥ 0.95 × its maximum; NaN unless it learned",
        reference=DEFINITION_1,
    ),
    TimeDefinition(
        suffix="_90",
        compute=_compute_authors_arrival,
        description=(
            "first epoch with {accuracy} ≥ 0.9 × its maximum (the authors' script: > instead of ≥, on the curve"
            " averaged over seeds); NaN unless it learned"
        ),
        reference="code of arXiv 2502.01739",
    ),
    TimeDefinition(
        suffix="_steepest",
        compute=compute_steepest_rise,
        description=(
            "end of the interval between known epochs in which {accuracy}, smoothed by a running median over 5 of them,"
            " rises most per epoch, the first of several; NaN unless it learned, or where nothing rises"
        ),
        reference="grokprobe",
    ),
    TimeDefinition(
        suffix="_hysteresis",
        compute=compute_settling,
        description=(
            "first epoch with {accuracy} ≥ 0.95 × its maximum after which it never falls below 0.9 × its maximum;"
            " NaN unless it learned, or if it ends before that"
        ),
        reference="grokprobe",
    ),
)


def _time_specs(definition: TimeDefinition) -> Iterator[VariableSpec]:
    suffix, is_default = definition.suffix, not definition.suffix
    for name, symbol, accuracy in (("train", "t_train", "training accuracy"), ("test", "t_test", "test accuracy")):
        yield VariableSpec(
            name=f"{name}_epoch{suffix}",
            bounds=(0.0, None),
            units="epochs",
            description=f"{symbol}: {definition.description.format(accuracy=accuracy)}",
            reference=definition.reference,
            headline=is_default,
        )
    yield VariableSpec(
        name=f"grokking_time{suffix}",
        units="epochs",
        description=f"t_grok = t_test − t_train, of test_epoch{suffix} and train_epoch{suffix}",
        reference=DEFINITION_1,
    )
    yield VariableSpec(
        name=f"groks{suffix}",
        bounds=(0.0, 1.0),
        description=f"1 if t_grok > t_train, else 0, of grokking_time{suffix}; NaN unless both times are known",
        reference=DEFINITION_2,
        headline=is_default,
    )
    yield VariableSpec(
        name=f"groks_margin{suffix}",
        units="epochs",
        description=f"t_grok − t_train, of grokking_time{suffix}: how far the run is from the border of Definition 2",
        reference=DEFINITION_2,
        headline=is_default,
    )


SUMMARY_SPECS: Final = (
    *(spec for definition in TIME_DEFINITIONS for spec in _time_specs(definition)),
    VariableSpec(
        name="plateau_end_epoch",
        bounds=(0.0, None),
        units="epochs",
        description=(
            "first epoch at which the test accuracy, smoothed by a running median over 5 known epochs, reaches"
            " chance + 0.1 (maximum − chance); NaN unless it learned"
        ),
        reference="grokprobe",
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


def summarise(history: xr.Dataset, chance: float) -> xr.Dataset:
    """Returns times, regime and final values of every run, over ``(seed, init_scale)``.

    Args:
        history: variables of :data:`HISTORY_SPECS` over ``(seed, init_scale, epoch)``, in any order of epochs.
        chance: accuracy of guessing, in [0, 1).
    """
    history = history.sortby(names.EPOCH)
    variables: dict[str, xr.DataArray] = {}
    for definition in TIME_DEFINITIONS:
        train, test = (
            _along_epochs(definition.compute, history[name], chance)
            for name in (names.TRAIN_ACCURACY, names.TEST_ACCURACY)
        )
        margin = test - train - train
        of_definition = {
            "train_epoch": train,
            "test_epoch": test,
            "grokking_time": test - train,
            "groks": (margin > 0).astype(np.float64).where(margin.notnull()),
            "groks_margin": margin,
        }
        variables |= {f"{name}{definition.suffix}": variable for name, variable in of_definition.items()}
    variables["plateau_end_epoch"] = _along_epochs(compute_plateau_end, history[names.TEST_ACCURACY], chance)
    variables |= {f"final_{spec.name}": last_known(history[spec.name]) for spec in HISTORY_SPECS}
    return xr.Dataset(variables)


def _along_epochs(
    compute: Callable[[np.ndarray, np.ndarray, float], float], accuracy: xr.DataArray, chance: float
) -> xr.DataArray:
    epochs = accuracy[names.EPOCH].to_numpy()
    return xr.apply_ufunc(
        lambda values: compute(epochs, values, chance),
        accuracy,
        input_core_dims=[[names.EPOCH]],
        vectorize=True,
        output_dtypes=[np.float64],
    )
