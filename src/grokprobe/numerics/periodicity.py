"""Weights along an axis that runs over the elements of a cyclic group."""

from typing import Literal

import torch

#: What to do with an axis of two halves: each half by itself, the powers of both together, or one long transform.
Halves = Literal["separate", "joint", "rollout"]


def find_periodic_axes(shape: tuple[int, ...], period: int) -> tuple[int, ...]:
    """Returns the axes of ``shape`` that may run over a group of ``period`` elements: length period or 2 · period."""
    return tuple(axis for axis, length in enumerate(shape) if length in (period, 2 * period))


def signals_along(weights: torch.Tensor, axis: int) -> torch.Tensor:
    """Returns one row per neuron with its weights along ``axis``, in their type, shape (num_neurons, length).

    The other axes, flattened in C order, number the neurons; a vector is one neuron.
    """
    moved = weights.detach().movedim(axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def split_into_layers(signals: torch.Tensor, period: int, halves: Halves) -> tuple[tuple[torch.Tensor, ...], ...]:
    """Returns the layers that ``signals`` stand for, each as the signals whose powers are added per neuron.

    A signal of length ``period`` is one layer of one signal. One of two halves is two layers of one signal each
    (``separate``), one layer of two signals (``joint``), or one layer of one signal of twice the length (``rollout``).

    Args:
        signals: shape (num_neurons, period) or (num_neurons, 2 · period).
        period: number of group elements.
        halves: what to do with two halves.
    """
    if signals.shape[-1] == period or halves == "rollout":
        return ((signals,),)
    first, second = signals[..., :period], signals[..., period:]
    return ((first, second),) if halves == "joint" else ((first,), (second,))
