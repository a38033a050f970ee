"""Changes of weights by the decile of their magnitude, of more weights than are sorted at once.

The deciles of :func:`grokprobe.numerics.steps.compute_decile_changes` begin at nine places of the sorted magnitudes.
The weights at these places are found by counting: the bits of a non-negative float32, read as an integer, are in the
order of the numbers, so one walk over the weights counts how many share their upper sixteen bits, and a second one,
within the nine kinds that matter, their lower fifteen. A third walk adds up the changes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import torch

from grokprobe.numerics.blocks import BLOCK_ELEMENTS, split_blocks
from grokprobe.numerics.steps import NUM_DECILES, WEIGHT_OFFSET, Relative, compute_decile_changes

#: Walks over the parts of a vector, in order, each of any shape.
Walk = Callable[[], Iterable[torch.Tensor]]

_LOW_BITS: Final = 15
_NUM_HIGH: Final = 1 << 16
_NUM_LOW: Final = 1 << _LOW_BITS


def change_by_decile(weights: Walk, previous: Walk, num_weights: int, relative: Relative = "decile") -> torch.Tensor:
    """Computes the changes by decile of weights in parts: sorted if they are few, else streamed.

    Args:
        weights: the parts of the weights.
        previous: the parts of the previous values, of the same shapes.
        num_weights: number of all weights.
        relative: what a change is relative to.

    Returns:
        As :func:`~grokprobe.numerics.steps.compute_decile_changes`.
    """
    if num_weights > BLOCK_ELEMENTS:
        return stream_decile_changes(weights, previous, num_weights, relative)
    now, before = (torch.cat([part.to(torch.float64).reshape(-1) for part in walk()]) for walk in (weights, previous))
    return compute_decile_changes(now, before, relative)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Border:
    """Where a decile begins."""

    #: Bits of the magnitude at that place.
    key: int
    #: How many weights of exactly this magnitude, the first ones, belong to deciles before it.
    num_before: int


def stream_decile_changes(
    weights: Walk, previous: Walk, num_weights: int, relative: Relative = "decile"
) -> torch.Tensor:
    """Computes :func:`~grokprobe.numerics.steps.compute_decile_changes` block by block.

    Magnitudes are ordered as float32: those of float64 weights that are equal to its precision by flat index.

    Args:
        weights: the parts of the weights; called three times.
        previous: the parts of the previous values, of the same shapes; called once.
        num_weights: number of all weights, at least 1.
        relative: what a change is relative to.

    Returns:
        float64 of shape (10,), equal to that of the sorted weights to rounding.
    """
    borders = _find_borders(weights, num_weights)
    changes = torch.zeros(NUM_DECILES, dtype=torch.float64)
    magnitudes, counts = torch.zeros_like(changes), torch.zeros_like(changes)
    for now, before, deciles in _assign(weights, previous, borders):
        magnitude = before.abs()
        change = now - before
        change = change.abs() if relative == "decile" else change / (magnitude + WEIGHT_OFFSET)
        for total, values in ((changes, change), (magnitudes, magnitude), (counts, torch.ones_like(change))):
            total.add_(values.new_zeros(NUM_DECILES).index_add(0, deciles, values).cpu())
    found = changes / (magnitudes if relative == "decile" else counts)
    return found.where(found.isfinite(), torch.nan)


def _keys(weights: torch.Tensor) -> torch.Tensor:
    """Returns integers in the order of the magnitudes; NaN after all numbers."""
    return weights.abs().to(torch.float32).view(torch.int32)


def _blocks(*walks: Walk) -> Iterator[tuple[torch.Tensor, ...]]:
    for parts in zip(*(walk() for walk in walks), strict=True):
        yield from split_blocks(*parts)


def _find_borders(walk: Walk, num_weights: int) -> list[_Border]:
    high = torch.zeros(_NUM_HIGH, dtype=torch.int64)
    for (weights,) in _blocks(walk):
        high += torch.bincount(_keys(weights).to(torch.int64) >> _LOW_BITS, minlength=_NUM_HIGH).cpu()
    before = high.cumsum(0)
    # the first place r with floor(10 r / n) at least d
    places = torch.tensor([-(-decile * num_weights // NUM_DECILES) for decile in range(1, NUM_DECILES)])
    kinds = torch.searchsorted(before, places, right=True).clamp(max=_NUM_HIGH - 1)
    low = {kind: torch.zeros(_NUM_LOW, dtype=torch.int64) for kind in kinds.tolist()}
    for (weights,) in _blocks(walk):
        keys = _keys(weights)
        for kind, counts in low.items():
            own = keys[(keys >> _LOW_BITS) == kind] & (_NUM_LOW - 1)
            counts.add_(torch.bincount(own.to(torch.int64), minlength=_NUM_LOW).cpu())
    borders = []
    for place, kind in zip(places.tolist(), kinds.tolist(), strict=True):
        rest = place - int(before[kind] - high[kind])
        within = low[kind].cumsum(0)
        bits = int(torch.searchsorted(within, rest, right=True).clamp(max=_NUM_LOW - 1))
        borders.append(_Border(key=(kind << _LOW_BITS) | bits, num_before=rest - int(within[bits] - low[kind][bits])))
    return borders


def _assign(
    weights: Walk, previous: Walk, borders: list[_Border]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yields blocks with the decile of each weight: how many borders it is not before."""
    seen = dict.fromkeys((border.key for border in borders), 0)
    for now, before in _blocks(weights, previous):
        keys = _keys(now)
        limits = torch.tensor([border.key for border in borders], dtype=torch.int32, device=keys.device)
        deciles = torch.bucketize(keys, limits)  # borders of a smaller magnitude
        for key, num_seen in seen.items():
            equal = (keys == key).nonzero().flatten()
            places = num_seen + torch.arange(len(equal), device=keys.device)
            for border in borders:
                if border.key == key:
                    deciles[equal] += (places >= border.num_before).to(deciles.dtype)
            seen[key] = num_seen + len(equal)
        yield now, before, deciles
