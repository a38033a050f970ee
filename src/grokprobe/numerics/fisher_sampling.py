"""Monte Carlo estimates of Fisher information, with labels drawn from the model, and their standard errors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import Tangent, push_tangents
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import LikelihoodName, sampled_fisher


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over independent draws, and how far it may be off."""

    #: The mean.
    mean: torch.Tensor
    #: Sample standard deviation of one draw (k − 1 in the denominator) over √k; NaN for a single draw.
    standard_error: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDraws:
    """How labels are drawn."""

    #: What they are drawn from.
    likelihood: LikelihoodName
    #: Number k of labels for each sample, at least 1.
    num_draws: int
    #: The only source of randomness; on the CPU.
    generator: torch.Generator

    def noise(self, inputs: torch.Tensor, num_outputs: int) -> Iterator[torch.Tensor]:
        """Yields what picks the labels of all samples, once a draw: it does not depend on batches or the device."""
        for _ in range(self.num_draws):
            if self.likelihood == "categorical":
                noise = torch.rand(len(inputs), generator=self.generator, dtype=torch.float64)
            else:
                noise = torch.randn(len(inputs), num_outputs, generator=self.generator, dtype=torch.float64)
            yield noise.to(inputs.device)


def compute_sampled_fisher_diagonal(
    network: Differentiable, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor, draws: LabelDraws
) -> dict[str, Estimate]:
    """Estimates the diagonal of the exact Fisher matrix from k labels a sample; unbiased, error ∝ 1/√k.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        inputs: shape (num_samples, …), at least one sample.
        draws: of the labels.

    Returns:
        Estimates by name, of the parameters' shapes. The error is that of the labels alone, for these samples.

    Raises:
        UsageError: no sample, or no draw.
    """
    means = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in parameters.items()}
    squares = {name: torch.zeros_like(mean) for name, mean in means.items()}
    for number, noise in enumerate(_checked_noise(network, parameters, inputs, draws), start=1):
        one = compute_fisher_diagonal(network, parameters, inputs, sampled_fisher(draws.likelihood, noise))
        for name, values in one.items():
            deviation = values - means[name]
            means[name] += deviation / number
            squares[name] += deviation * (values - means[name])  # B. P. Welford, Technometrics 4 (1962) 419
    return {
        name: Estimate(mean=mean, standard_error=_standard_error(squares[name], draws.num_draws))
        for name, mean in means.items()
    }


def compute_sampled_fisher_gram(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    tangents: Sequence[Tangent],
    inputs: torch.Tensor,
    draws: LabelDraws,
) -> Estimate:
    """Estimates the inner products in the exact Fisher metric from k labels a sample; unbiased, error ∝ 1/√k.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        tangents: changes of some of the parameters.
        inputs: shape (num_samples, …), at least one sample.
        draws: of the labels.

    Returns:
        Of shape (num_tangents, num_tangents); the mean is positive semi-definite. The error is that of the labels
        alone, for these samples.

    Raises:
        UsageError: no sample, or no draw.
    """
    fishers = [sampled_fisher(draws.likelihood, noise) for noise in _checked_noise(network, parameters, inputs, draws)]
    grams = torch.zeros(len(fishers), len(tangents), len(tangents), dtype=torch.float64, device=inputs.device)
    for batch in push_tangents(network, parameters, tangents, inputs):
        for number, fisher in enumerate(fishers):
            scores = fisher.whiten(batch.outputs, batch.rows, batch.changes).flatten(start_dim=1)
            grams[number] += scores @ scores.T
    grams /= len(inputs)
    mean = grams.mean(dim=0)
    squares = (grams - mean).square().sum(dim=0)
    return Estimate(mean=mean, standard_error=_standard_error(squares, draws.num_draws))


def _checked_noise(
    network: Differentiable, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor, draws: LabelDraws
) -> Iterator[torch.Tensor]:
    if len(inputs) == 0 or draws.num_draws < 1:
        raise UsageError(
            f"Fisher information by drawn labels: expected at least one sample and one draw, found {len(inputs)} and"
            f" {draws.num_draws}"
        )
    with torch.no_grad():
        num_outputs = network.apply(parameters, inputs[:1]).numel()
    return draws.noise(inputs, num_outputs)


def _standard_error(squares: torch.Tensor, num_draws: int) -> torch.Tensor:
    """Returns √(Σ(x − x̄)² / (k − 1) / k): of a single draw 0/0, NaN."""
    return (squares / (num_draws - 1 or torch.nan) / num_draws).sqrt()
