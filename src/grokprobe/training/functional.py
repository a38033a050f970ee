"""The stacked form of any network, made by ``torch.func``."""

from collections.abc import Mapping

import torch

from grokprobe.interfaces import Stacked, Task


class FunctionalForm:
    """Maps the network over seeds, and over the scales of each seed, with ``torch.func.vmap``.

    It works for a network and a loss without buffers, without randomness in training mode and without control flow
    that depends on values; torch refuses the others when they are first computed.
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._model = task.build_model().to(device).train()

    def pack(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns the parameters as they are."""
        return {name: tensor.contiguous() for name, tensor in parameters.items()}

    def unpack(self, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns the parameters as they are."""
        return {name: tensor.contiguous() for name, tensor in packed.items()}

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the samples as they are."""
        return inputs

    def compute_gradients(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
    ) -> torch.Tensor:
        """Writes the gradient of each member's mean loss into ``gradients``, and returns the losses."""

        def loss(own: Stacked, samples: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
            return self._task.loss(torch.func.functional_call(self._model, dict(own), (samples,)), wanted)

        step = torch.func.grad_and_value(loss)
        found, losses = _over_members(step)(_by_seed(parameters, len(inputs)), inputs, targets)
        for name, gradient in gradients.items():
            gradient.copy_(found[name].flatten(end_dim=1))
        return losses.flatten()

    def compute_outputs(self, parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs, shape (num_members, batch, …)."""

        def outputs(own: Stacked, samples: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(self._model, dict(own), (samples,))

        self._model.eval()
        try:
            return _over_members(outputs)(_by_seed(parameters, len(inputs)), inputs, inputs).flatten(end_dim=1)
        finally:
            self._model.train()

    def evaluate(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns sums of the loss and numbers of correct samples, with the task's own functions, member by member."""
        outputs = self.compute_outputs(parameters, inputs)
        num_scales, num_samples = len(outputs) // len(inputs), inputs.shape[1]
        pairs = [(own, targets[member // num_scales]) for member, own in enumerate(outputs)]
        losses = torch.stack([self._task.loss(own.double(), wanted) * num_samples for own, wanted in pairs])
        num_correct = [self._task.num_correct(own, wanted) for own, wanted in pairs]
        return losses, torch.tensor(num_correct, device=outputs.device)


def _over_members(function):
    return torch.func.vmap(torch.func.vmap(function, in_dims=(0, None, None)))


def _by_seed(parameters: Stacked, num_seeds: int) -> dict[str, torch.Tensor]:
    return {name: tensor.unflatten(0, (num_seeds, -1)) for name, tensor in parameters.items()}
