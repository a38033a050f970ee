"""A network for many members of a sweep at once."""

from collections.abc import Mapping
from typing import Protocol

import torch

#: Tensors of many members by name; the first axis of each is the member.
Stacked = Mapping[str, torch.Tensor]


class StackedForm(Protocol):
    """The same network as :meth:`Task.build_model`, with the same loss, for many members in one computation.

    A task offers one where it is faster than what ``torch.func`` makes of its network. The members of a computation
    are num_seeds · num_scales: the scales of one seed side by side, since they share their data. So parameters have a
    first axis of that length, and data one of length num_seeds.

    A form may keep parameters in a layout of its own (transposed, padded), as long as the optimizer, which works
    element by element, may not notice: :meth:`pack` and :meth:`unpack` only move numbers.

    Laws: equal to the network to rounding; what it computes for a member does not depend, bit for bit, on what the
    other members hold; no randomness; nothing is read back from the device.
    """

    def pack(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns one member's parameters, or anything of their shapes, in the form's layout, contiguous."""
        ...

    def unpack(self, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Inverts :meth:`pack`; the result is contiguous and named and shaped as in the network."""
        ...

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns samples as the form takes them, such as the indices of a two-hot input; the first axis stays."""
        ...

    def compute_gradients(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
    ) -> torch.Tensor:
        """Writes the gradient of each member's mean loss over its batch, and returns the losses.

        Args:
            parameters: packed, first axis num_members.
            inputs: encoded, shape (num_seeds, batch, …).
            targets: shape (num_seeds, batch, …).
            gradients: of the shapes of ``parameters``; overwritten.

        Returns:
            Shape (num_members,), in the parameters' type.
        """
        ...

    def compute_outputs(self, parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs, shape (num_members, batch, …).

        Args:
            parameters: packed, first axis num_members.
            inputs: encoded, shape (num_seeds, batch, …).
        """
        ...

    def evaluate(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what an evaluation on these samples adds up.

        Args:
            parameters: packed, first axis num_members.
            inputs: encoded, shape (num_seeds, batch, …).
            targets: shape (num_seeds, batch, …).

        Returns:
            For each member, on the device of the parameters, the sum of the loss over the samples, in float64, which
            differs by a rounding of the outputs from what float64 makes of these; and the number of samples that are
            classified correctly, an integer.
        """
        ...
