"""Which entries of a network's tensors go first, and the tensors without them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningOrder:
    """A fixed order in which entries go, so that what is zero at one amount is zero at any larger one."""

    #: Place of each entry among those it is ranked with, 0 for the first to go; int64 in the shapes of the tensors.
    places: Mapping[str, torch.Tensor]
    #: How many entries those of a tensor are ranked with, themselves included.
    totals: Mapping[str, int]

    def prune(self, tensors: Mapping[str, torch.Tensor], amount: float) -> dict[str, torch.Tensor]:
        """Returns the ordered tensors with the first k entries of each order zero.

        k = amount · n of the n entries that are ranked together, rounded to the nearest whole number, halves to the
        even one. Where k is 0 the tensors are returned themselves; at amount 1 all of them are zero.

        Args:
            tensors: at least the ordered ones, in the shapes that were ordered; not modified.
            amount: the fraction removed, in [0, 1].

        Example:
            >>> weights = {"w": torch.tensor([3.0, -1.0, 2.0, 0.5])}
            >>> pruned = order_by_tensor({"w": weights["w"].abs()}).prune(weights, 0.5)
            >>> assert pruned["w"].tolist() == [3, 0, 2, 0]
        """
        counts = {name: round(amount * total) for name, total in self.totals.items()}
        return {
            name: tensors[name].masked_fill(places < counts[name], 0) if counts[name] else tensors[name]
            for name, places in self.places.items()
        }


def order_by_tensor(scores: Mapping[str, torch.Tensor]) -> PruningOrder:
    """Orders the entries of each tensor by themselves, from the smallest score on: every tensor loses the same share.

    Equal scores go in the order of their flat index, and NaN goes last.

    Args:
        scores: of the shapes of the tensors.
    """
    return PruningOrder(
        places={name: _places(score.flatten()).view(score.shape) for name, score in scores.items()},
        totals={name: score.numel() for name, score in scores.items()},
    )


def order_globally(scores: Mapping[str, torch.Tensor]) -> PruningOrder:
    """Orders the entries of all tensors together, from the smallest score on: tensors lose different shares.

    Equal scores go in the order of the tensors, then of their flat index, and NaN goes last.

    Args:
        scores: of the shapes of the tensors, all on one device; compared in their own type.

    Example:
        >>> order = order_globally({"a": torch.tensor([1.0, 4.0]), "b": torch.tensor([[2.0], [3.0]])})
        >>> assert order.places["b"].tolist() == [[1], [2]] and order.totals == {"a": 4, "b": 4}
    """
    if not scores:
        return PruningOrder(places={}, totals={})
    places = _places(torch.cat([score.flatten() for score in scores.values()]))
    parts = places.split([score.numel() for score in scores.values()])
    return PruningOrder(
        places={name: part.view(score.shape) for part, (name, score) in zip(parts, scores.items(), strict=True)},
        totals=dict.fromkeys(scores, len(places)),
    )


def compute_magnitudes(
    tensors: Mapping[str, torch.Tensor], *, relative_to_norm: bool = False
) -> dict[str, torch.Tensor]:
    """Returns the magnitudes |w| as scores, float64, on request divided by their tensor's Frobenius norm.

    Divided by the norm, tensors of different scale can be compared: at equal shares of zeros the layer with small
    weights is not emptied first. A tensor of zeros has scores of zero either way.

    Args:
        tensors: any shapes.
        relative_to_norm: whether to divide.

    Example:
        >>> small, large = torch.tensor([3.0, 4.0]), torch.tensor([30.0, -40.0])
        >>> scores = compute_magnitudes({"small": small, "large": large}, relative_to_norm=True)
        >>> assert torch.allclose(scores["small"], scores["large"])
    """
    magnitudes = {name: tensor.detach().to(torch.float64).abs() for name, tensor in tensors.items()}
    if not relative_to_norm:
        return magnitudes
    return {
        name: torch.where(magnitude == 0, 0.0, magnitude / torch.linalg.vector_norm(magnitude))
        for name, magnitude in magnitudes.items()
    }


def draw_scores(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Returns scores that are independent of the weights, uniform on [0, 1), float64: a random order.

    Args:
        tensors: whose shapes and devices the scores have.
        generator: on the CPU; drawn from tensor by tensor.
    """
    return {
        name: torch.rand(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.device)
        for name, tensor in tensors.items()
    }


def _places(scores: torch.Tensor) -> torch.Tensor:
    order = scores.argsort(stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places
