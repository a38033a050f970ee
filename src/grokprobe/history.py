"""The variables of a training history, whether recorded during training or evaluated afterwards."""

from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

HISTORY_SPECS: Final = tuple(
    VariableSpec(name=name, bounds=bounds, units=units, description=description, reference="grokprobe")
    for name, bounds, units, description in (
        (names.TRAIN_LOSS, (0.0, None), "nat", "mean loss over the training split at the parameters of the epoch"),
        (names.TEST_LOSS, (0.0, None), "nat", "mean loss over the test split at the parameters of the epoch"),
        (names.TRAIN_ACCURACY, (0.0, 1.0), "1", "fraction of the training split that is classified correctly"),
        (names.TEST_ACCURACY, (0.0, 1.0), "1", "fraction of the test split that is classified correctly"),
    )
)
