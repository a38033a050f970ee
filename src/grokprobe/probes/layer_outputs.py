"""What every linear and convolution layer gives, batch by batch, at several checkpoints of one network."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.evaluation import EVALUATION_BATCH
from grokprobe.interfaces import Context, Parameters
from grokprobe.variables import Coordinate

#: The layers' outputs as variables describe them.
PRE_ACTIVATIONS: Final = (
    "pre-activations over the test samples (outputs of linear and convolution layers before any nonlinearity and"
    " pooling, logits included; one unit per channel, row and column of a convolution)"
)


def iterate_layer_outputs(
    context: Context, checkpoints: Sequence[Parameters]
) -> Iterator[dict[str, tuple[torch.Tensor, ...]]]:
    """Yields, for each batch of test samples, layer → outputs at each checkpoint, shape (num_samples, num_units).

    The layers are in the order of execution; a layer that is used again is one more.

    Args:
        context: of the checkpoint that is measured.
        checkpoints: parameters of the network.

    Raises:
        UsageError: no layers or samples, or a network that does not keep samples apart.
    """
    inputs = context.test.inputs
    num_batches = 0
    for start in range(0, len(inputs), EVALUATION_BATCH):
        batch = inputs[start : start + EVALUATION_BATCH]
        found = [context.pre_activations(parameters, batch) for parameters in checkpoints]
        for label, outputs in found[0].items():
            if len(outputs) != len(batch):
                raise UsageError(
                    f"layer {label}: expected the first axis to be the {len(batch)} samples, found shape"
                    f" {tuple(outputs.shape)}; leave the probe out for this network"
                )
        if found[0]:
            num_batches += 1
            yield {label: tuple(layers[label].flatten(start_dim=1) for layers in found) for label in found[0]}
    if num_batches == 0:
        raise UsageError(
            f"expected linear or convolution layers and test samples, found {len(inputs)} samples and no such layer;"
            " leave the probe out for this network"
        )


def layer_coordinate(labels: Sequence[str]) -> Coordinate:
    """Returns the coordinate of layers in the order of execution."""
    return Coordinate(dim=names.LAYER, values=np.array(labels), description="layer, in the order of execution")
