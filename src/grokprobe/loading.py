"""Parameters of checkpoints in memory: whole and kept for a while, or tensor by tensor when a measure asks for them."""

import functools
from collections.abc import Callable, Mapping
from typing import Final

import torch

from grokprobe.checkpoints import CheckpointRef, Reading
from grokprobe.checkpoints.contents import Outline, UnreadParameters, outlines_of
from grokprobe.interfaces import Parameters

#: Checkpoints of a run that are kept: the present one, its neighbours, the first and the last.
LOADED_CHECKPOINTS: Final = 5
#: A checkpoint of more bytes is not kept: each of its tensors is read whenever a measure asks for it.
KEPT_BYTES: Final = 64 * 2**20


def build_loader(
    reading: Reading, device: torch.device, *, is_evaluated: bool
) -> Callable[[CheckpointRef], Parameters]:
    """Returns what loads a checkpoint onto the device and keeps the last few.

    Args:
        reading: how files are read.
        device: where the tensors go.
        is_evaluated: whether a network is evaluated at the parameters. That takes all of them at once and many times,
            so they are kept however large they are.
    """

    @functools.lru_cache(maxsize=LOADED_CHECKPOINTS)
    @torch.inference_mode(False)  # what is kept is for all measures: the first may be in that mode
    def load(checkpoint: CheckpointRef) -> Parameters:
        return load_parameters(reading, checkpoint, device, is_evaluated=is_evaluated)

    return load


def load_parameters(
    reading: Reading, checkpoint: CheckpointRef, device: torch.device, *, is_evaluated: bool
) -> Parameters:
    """Returns the parameters of a checkpoint: in memory, or read at every access if they are many."""
    content = reading.read(checkpoint.path, checkpoint.member)
    if is_evaluated or content.num_bytes <= KEPT_BYTES:
        return {name: tensor.to(device) for name, tensor in content.parameters.items()}
    return StreamedParameters(content.parameters, device)


class StreamedParameters(UnreadParameters):
    """Parameters of a large checkpoint, each read and moved to the device at every access."""

    def __init__(self, parameters: Parameters, device: torch.device) -> None:
        self._parameters = parameters
        self._device = device

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """The tensors as the file describes them."""
        return outlines_of(self._parameters)

    @torch.inference_mode(False)
    def __getitem__(self, name: str) -> torch.Tensor:
        return self._parameters[name].to(self._device)
