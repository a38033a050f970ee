"""Names of dimensions, coordinates, groups and attributes: the contract of the dataset.

No other module spells one of these strings.
"""

from typing import Final

SEED: Final = "seed"
INIT_SCALE: Final = "init_scale"
EPOCH: Final = "epoch"
STEP: Final = "step"
#: Leading dimensions of every group except ``summary``, in stored order.
LEADING_DIMS: Final = (SEED, INIT_SCALE, EPOCH)
#: Leading dimensions of ``summary``.
SUMMARY_DIMS: Final = (SEED, INIT_SCALE)

LAYER: Final = "layer"
NEURON: Final = "neuron"
NEURON_LAYER: Final = "neuron_layer"
NEURON_INDEX: Final = "neuron_index"
CHANNEL: Final = "channel"
ROW: Final = "row"
COLUMN: Final = "column"
FREQUENCY: Final = "frequency"
RANK: Final = "rank"
PARAMETER: Final = "parameter"
PARAMETER_TENSOR: Final = "parameter_tensor"
PARAMETER_INDEX: Final = "parameter_index"
AMOUNT: Final = "amount"
BITS: Final = "bits"
FEATURE: Final = "feature"
DECILE: Final = "decile"
COMPONENT: Final = "component"
OTHER: Final = "other"
THRESHOLD: Final = "threshold"
DRAW: Final = "draw"
STATISTIC: Final = "statistic"
REGIME: Final = "regime"
VARIABLE: Final = "variable"

STATUS: Final = "status"
CHECKPOINT_DIGEST: Final = "checkpoint_digest"

HISTORY: Final = "history"
SUMMARY: Final = "summary"
PROBES: Final = "probes"
COMPRESSORS: Final = "compressors"
GEOMETRY: Final = "geometry"

TRAIN_LOSS: Final = "train_loss"
TEST_LOSS: Final = "test_loss"
TRAIN_ACCURACY: Final = "train_accuracy"
TEST_ACCURACY: Final = "test_accuracy"
