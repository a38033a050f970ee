"""Gradients of single samples' outputs, a bounded number at a time."""

from collections.abc import Iterator, Mapping
from typing import Final

import torch

from grokprobe.numerics.attention import differentiable_attention
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import OutputFisher

#: Numbers of one block of gradients.
BLOCK_NUMBERS: Final = 1 << 23


@torch.no_grad()
def collect_sample_gradients(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    names: tuple[str, ...],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
    *,
    samples: range | None = None,
) -> Iterator[dict[str, torch.Tensor]]:
    """Yields the vectors Jᵀu_d of every sample, in blocks.

    The Fisher matrix is the mean over samples of Σ_d (Jᵀu_d)(Jᵀu_d)ᵀ.

    It works for any network made of what ``torch.func.vmap`` can map, which torch's own recurrent layers are not. A
    block has at most :data:`BLOCK_NUMBERS` numbers, or one vector.

    Args:
        network: treats every sample by itself.
        parameters: where to differentiate; not modified.
        names: the parameters to differentiate by.
        inputs: shape (num_samples, …).
        output_fisher: gives the directions u_d.
        samples: which of the inputs; None for all.

    Yields:
        Tensors by name, shape (num_vectors, *parameter.shape), in the parameters' type; in the order of the samples,
        within a sample in that of the directions.
    """
    chosen = {name: parameters[name].detach() for name in names}
    others = {name: tensor.detach() for name, tensor in parameters.items() if name not in chosen}
    num_vectors = max(1, BLOCK_NUMBERS // max(1, sum(tensor.numel() for tensor in chosen.values())))

    def pull(sample: torch.Tensor, directions: torch.Tensor) -> dict[str, torch.Tensor]:
        def outputs_of(own: dict[str, torch.Tensor]) -> torch.Tensor:
            with differentiable_attention():
                return network.apply({**others, **own}, sample.unsqueeze(0)).flatten()

        outputs, pullback = torch.func.vjp(outputs_of, chosen)[:2]
        return torch.func.vmap(lambda direction: pullback(direction.to(outputs.dtype))[0])(directions)

    num_outputs = network.apply(parameters, inputs[:1]).numel()
    num_samples = max(1, num_vectors // num_outputs)
    for start in (samples or range(len(inputs)))[::num_samples]:
        rows = slice(start, min(start + num_samples, samples.stop if samples else len(inputs)))
        outputs = network.apply(parameters, inputs[rows]).flatten(start_dim=1)
        directions = torch.stack(list(output_fisher.directions(outputs, rows)), dim=1)
        for block in directions.split(num_vectors, dim=1):
            gradients = torch.func.vmap(pull)(inputs[rows], block)
            yield {name: tensor.flatten(end_dim=1) for name, tensor in gradients.items()}
