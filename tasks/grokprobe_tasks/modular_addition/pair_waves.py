"""Logits over all pairs (a, b) as waves in a + b and a − b."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch

#: Which waves belong to a frequency k, with w = 2πk/p. ``sum``: cos and sin of w(a + b). ``products``: those, and cos
#: and sin of w(a − b) too, which together span the four products of cos and sin of wa and wb.
Waves = Literal["sum", "products"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMeans:
    """Logits of pairs, summed over the pairs with one sum and over those with one difference, modulo p; float64.

    As much of the logits as any wave in a + b or a − b depends on: p² numbers twice, where the logits are p³. They are
    centred over the classes, which changes no softmax.
    """

    #: Σ of the logits of the pairs with (a + b) mod p = s, shape (p, num_classes).
    by_sum: torch.Tensor
    #: Σ of the logits of the pairs with (a − b) mod p = d, shape (p, num_classes).
    by_difference: torch.Tensor
    #: Number n of pairs.
    num_pairs: int
    #: Mean z̄ of the logits, shape (num_classes,).
    mean: torch.Tensor
    #: Σ ‖z − z̄‖².
    variation: float

    def merged(self, other: "PairMeans") -> "PairMeans":
        """Returns those of the pairs of both.

        With δ the difference of the means, Σ ‖z − z̄‖² is the sum of the parts plus ‖δ‖² n_a n_b / (n_a + n_b).
        """
        num_pairs = self.num_pairs + other.num_pairs
        share = other.num_pairs / num_pairs
        shift = other.mean - self.mean
        return PairMeans(
            by_sum=self.by_sum + other.by_sum,
            by_difference=self.by_difference + other.by_difference,
            num_pairs=num_pairs,
            mean=self.mean + share * shift,
            variation=self.variation + other.variation + self.num_pairs * share * shift.square().sum().item(),
        )


def gather_pairs(logits: torch.Tensor, pairs: torch.Tensor, period: int) -> PairMeans:
    """Returns the sums over one batch of pairs.

    Args:
        logits: shape (num_pairs, num_classes).
        pairs: index p·a + b of each pair, shape (num_pairs,).
        period: number p of group elements.
    """
    centred = logits.detach().to(torch.float64)
    centred = centred - centred.mean(dim=1, keepdim=True)
    sums, differences = sums_and_differences(pairs, period)
    zeros, mean = centred.new_zeros(period, centred.shape[1]), centred.mean(dim=0)
    return PairMeans(
        by_sum=zeros.index_add(0, sums, centred),
        by_difference=zeros.index_add(0, differences, centred),
        num_pairs=len(pairs),
        mean=mean,
        variation=(centred - mean).square().sum().item(),
    )


def sums_and_differences(pairs: torch.Tensor, period: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns (a + b) mod p and (a − b) mod p of pairs given by their index p·a + b."""
    first, second = pairs // period, pairs % period
    return (first + second) % period, (first - second) % period


def compute_wave_shares(means: PairMeans, *, eps: float) -> torch.Tensor:
    """Computes how much of the logits each frequency of a + b holds.

    With the logits z of all pairs, centred over the classes, the share of k is the squared length of their projection
    on cos and sin of 2πk(a + b)/p, over that of z minus its mean over the pairs. Waves are functions of the pairs, one
    amplitude a class.

    A network that adds by the angles of a few frequencies has nearly all of it in those; one that has memorised its
    training pairs spreads it over waves that are no function of a + b.

    Args:
        means: of all p² pairs.
        eps: relative rounding of the logits. Logits whose variation over the pairs is at most 4 eps of their size do
            not vary.

    Returns:
        Shape (p // 2,) for k = 1 … p // 2, each in [0, 1], their sum at most 1; NaN if the logits do not vary or are
        not finite.
    """
    period = len(means.by_sum)
    square = means.variation + means.num_pairs * means.mean.square().sum().item()
    amplitudes = torch.fft.rfft(means.by_sum / period, dim=0)[1:].abs().square().sum(dim=1)
    powers = 2 * amplitudes  # p pairs have one sum; conjugates are folded
    if period % 2 == 0:
        powers[-1] /= 2  # the alternating wave is its own conjugate
    if not (4 * eps) ** 2 * square < means.variation < float("inf"):
        return torch.full_like(powers, torch.nan)
    return (powers / means.variation).clamp(max=1)  # a large mean leaves its rounding in the powers


def find_key_frequencies(shares: torch.Tensor, coverage: float) -> tuple[int, ...]:
    """Finds the key frequencies: the fewest that together hold ``coverage`` of what all frequencies of a + b hold.

    Args:
        shares: of the frequencies 1 … p // 2.
        coverage: in (0, 1].

    Returns:
        The frequencies, ascending; of equal ones the lower is taken first. None if the shares are NaN or all zero.

    Example:
        >>> assert find_key_frequencies(torch.tensor([0.0, 0.5, 0.01, 0.3]), 0.9) == (2, 4)
    """
    total = shares.sum()
    if not total > 0:
        return ()
    ordered, order = shares.sort(descending=True, stable=True)
    num_before = (ordered.cumsum(dim=0) < coverage * total).sum()  # those that do not suffice
    return tuple(sorted((order[: num_before + 1] + 1).tolist()))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPart:
    """The part of the logits, centred over the classes, that the waves of some frequencies make up."""

    #: Mean over all pairs, shape (num_classes,).
    constant: torch.Tensor
    #: Value of the waves in a + b by (a + b) mod p, shape (p, num_classes).
    of_sum: torch.Tensor
    #: Value of the waves in a − b by (a − b) mod p, shape (p, num_classes); zero where they are not taken.
    of_difference: torch.Tensor

    def at(self, pairs: torch.Tensor) -> torch.Tensor:
        """Returns the waves' part of the logits of pairs given by p·a + b, without the constant one."""
        sums, differences = sums_and_differences(pairs, len(self.of_sum))
        return self.of_sum[sums] + self.of_difference[differences]


def project_on_waves(means: PairMeans, frequencies: Collection[int], waves: Waves) -> KeyPart:
    """Projects the logits on the waves of ``frequencies``.

    Args:
        means: of all p² pairs.
        frequencies: each from 1 to p // 2.
        waves: which waves belong to a frequency.
    """
    period = len(means.by_sum)
    # For even p the alternating wave in a − b is the one in a + b.
    of_difference = [k for k in frequencies if waves == "products" and 2 * k != period]
    return KeyPart(
        constant=means.mean,
        of_sum=_keep(means.by_sum / period, frequencies),
        of_difference=_keep(means.by_difference / period, of_difference),
    )


def _keep(signals: torch.Tensor, frequencies: Collection[int]) -> torch.Tensor:
    """Returns the part of real ``signals``, shape (p, num_classes), at ``frequencies``."""
    amplitudes = torch.fft.rfft(signals, dim=0)
    kept = torch.zeros(len(amplitudes), 1, dtype=torch.bool, device=signals.device)
    kept[list(frequencies)] = True
    return torch.fft.irfft(amplitudes * kept, n=len(signals), dim=0)
