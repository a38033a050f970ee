"""The loss of a network about a checkpoint, for many displacements at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from grokprobe.errors import UsageError
from grokprobe.interfaces import Context, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How much of the data is looked at, and how much of it at once."""

    #: Samples of a minibatch, drawn without repetition; all where it is None or at least their number.
    batch_size: int | None
    #: Samples of one chain in one forward pass.
    samples_at_once: int
    #: Whether the chains go through the network in one batch, by ``torch.func.vmap``, or one after the other.
    is_vectorised: bool


class Landscape:
    """L(w* + δ) − L(w*) over the training samples and its gradient, w* a checkpoint and δ a displacement.

    L is the task's mean loss. The network is evaluated in the type of the file (float32 at least), everything from the
    outputs on in float64. Over a minibatch both losses are over the same samples: the difference has the same mean as
    with L(w*) over all samples, and less variance.

    Memory beside the parameters is bounded: the network sees at most ``samples_at_once`` samples a chain at a time.
    """

    def __init__(self, context: Context, task: Task, sampled: Sequence[str], sampling: Sampling) -> None:
        """Computes the loss of every sample at the checkpoint.

        Args:
            context: the checkpoint, its network and its training samples.
            task: gives the loss.
            sampled: names of the parameters that are displaced, at least one; the others stay.
            sampling: how much at once.
        """
        self._context = context
        self._task = task
        self._sampling = sampling
        self._samples = context.train
        self._checkpoint = {name: _widened(tensor) for name, tensor in context.parameters.items()}
        self._displaced = {name: self._checkpoint[name] for name in sampled}
        #: w*, the displaced parameters one after the other, shape (num_parameters,).
        self.origin = torch.cat([tensor.flatten() for tensor in self._displaced.values()])
        self._losses_at_origin = self._compute_losses_at_origin()

    def evaluate(
        self, displacements: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns L(w* + δ) − L(w*), shape (num_chains,), float64, and its gradients, shaped as the displacements.

        Args:
            displacements: δ, shape (num_chains, num_parameters).
            generators: one a chain, from which its minibatch is drawn; untouched where all samples are taken.
        """
        num_samples, batch_size = len(self._samples), self._sampling.batch_size
        if batch_size is None or batch_size >= num_samples:
            rows = torch.arange(num_samples, device=displacements.device)
        else:
            orders = [torch.randperm(num_samples, generator=one, device=one.device) for one in generators]
            rows = torch.stack([order[:batch_size] for order in orders])
        losses = -self._losses_at_origin[rows].mean(dim=-1).expand(len(displacements))
        gradients = torch.zeros_like(displacements)
        for block in rows.split(self._sampling.samples_at_once, dim=-1):
            share = block.shape[-1] / rows.shape[-1]
            block_losses, block_gradients = self._differentiate(displacements, block)
            losses = losses + share * block_losses
            gradients.add_(block_gradients, alpha=share)
        return losses, gradients

    def _differentiate(self, displacements: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns losses and gradients over the samples ``rows``, shape (batch,) for all or (num_chains, batch)."""
        differentiate = torch.func.grad_and_value(self._loss)
        is_shared = rows.ndim == 1
        if not self._sampling.is_vectorised:
            each = zip(displacements, rows.expand(len(displacements), -1), strict=True)
            found = [differentiate(one, self._samples.inputs[own], self._samples.targets[own]) for one, own in each]
            return torch.stack([loss for _, loss in found]), torch.stack([gradient for gradient, _ in found])
        in_dims = (0, None, None) if is_shared else (0, 0, 0)
        try:
            gradients, losses = torch.func.vmap(differentiate, in_dims=in_dims)(
                displacements, self._samples.inputs[rows], self._samples.targets[rows]
            )
        except RuntimeError as error:
            raise UsageError(
                f"probe llc: expected a network and a loss that torch.func.vmap can compute for {len(displacements)}"
                f" chains at once, found: {error}; set llc.vectorise=false to compute the chains one after the other"
            ) from error
        return losses, gradients

    def _loss(self, displacement: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        parts = (self.origin + displacement).split([tensor.numel() for tensor in self._displaced.values()])
        moved = {
            name: part.view(tensor.shape).to(tensor.dtype)
            for part, (name, tensor) in zip(parts, self._displaced.items(), strict=True)
        }
        outputs = self._context.apply({**self._checkpoint, **moved}, inputs)
        return self._task.loss(outputs.double(), targets)

    @torch.no_grad()
    def _compute_losses_at_origin(self) -> torch.Tensor:
        """Returns the loss of every sample at the checkpoint, shape (num_samples,), float64."""
        losses = []
        for rows in torch.arange(len(self._samples)).split(self._sampling.samples_at_once):
            outputs = self._context.apply(self._checkpoint, self._samples.inputs[rows]).double()
            targets = self._samples.targets[rows]
            losses += [self._task.loss(outputs[row : row + 1], targets[row : row + 1]) for row in range(len(rows))]
        return torch.stack(losses)


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    """Returns the tensor in float32 at least: a step is smaller than the rounding of a half-precision weight."""
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
