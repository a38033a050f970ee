"""The laws of a Compressor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from grokprobe import names
from grokprobe.interfaces import Compressor, Parameters
from grokprobe.testing.conformance import require
from grokprobe.testing.context import FixedContext
from grokprobe.testing.measures import bind_measure
from grokprobe.testing.mutation import Snapshot, equal_values


def check_compressor(compressor: Compressor, context: FixedContext, options: Any = None) -> None:
    """Checks ``compressor`` against the laws of :class:`grokprobe.interfaces.Compressor`.

    The amounts increase from 0 to at most 1, and further labels stand one at each; each yields parameters of the
    original names, shapes and types; amount 0 is the original; no amount builds on another; the parts have no parameter
    twice, and no other changes; the context is not modified; the same context gives an equal result.

    Args:
        compressor: the compressor.
        context: a context it applies to.
        options: its options; None for those of ``context``, or the defaults.

    Raises:
        ConformanceError: a law is broken.
    """
    bound = bind_measure(compressor, context, options)
    amounts = _checked_amounts(compressor, bound.options)
    _check_labels(compressor, bound.options, len(amounts))
    members = _checked_members(compressor, bound)
    snapshot = Snapshot(bound)
    compressed = _collect(compressor, bound, amounts)
    snapshot.require_unchanged()
    for amount, parameters in zip(amounts, compressed, strict=True):
        _check_form(bound.parameters, parameters, amount)
        changed = [
            name
            for name, tensor in bound.parameters.items()
            if name not in members and not equal_values(parameters[name], tensor)
        ]
        require(not changed, "parts are all that changes", f"{changed} changed at amount {amount:g}, in no part")
    require(_equal(compressed[0], bound.parameters), "amount 0 leaves the parameters unchanged")
    again = _collect(compressor, bound, amounts)
    require(all(map(_equal, compressed, again)), "same context gives an equal result", "two calls differ")
    for position in {len(amounts) // 3, 2 * len(amounts) // 3, len(amounts) - 1}:
        alone = _collect(compressor, bound, amounts[position : position + 1])
        require(
            _equal(alone[0], compressed[position]),
            "each amount compresses the original",
            f"amount {amounts[position]:g} alone differs from the same amount after smaller ones",
        )
    snapshot.require_unchanged()


def _checked_amounts(compressor: Compressor, options: Any) -> list[float]:
    amounts = np.asarray(compressor.amounts(options))
    require(amounts.ndim == 1 and len(amounts) > 0, "amounts is a vector", f"shape {amounts.shape}")
    require(amounts[0] == 0, "amounts start at 0", f"{amounts[0]:g}")
    require(bool((np.diff(amounts) > 0).all()), "amounts increase", str(amounts.tolist()))
    require(amounts[-1] <= 1, "amounts are at most 1", f"{amounts[-1]:g}")
    return [float(amount) for amount in amounts]


def _check_labels(compressor: Compressor, options: Any, num_amounts: int) -> None:
    labels = compressor.labels(options)
    require(names.AMOUNT not in labels, "labels are further ones", f"{names.AMOUNT} is the amounts' own")
    again = compressor.labels(options)
    for name, coordinate in labels.items():
        require(coordinate.dim == names.AMOUNT, "labels lie along the amounts", f"{name} lies along {coordinate.dim}")
        length = len(coordinate.values)
        require(length == num_amounts, "labels stand one at each amount", f"{name} has {length} for {num_amounts}")
        is_equal = name in again and np.array_equal(coordinate.values, again[name].values)
        require(is_equal, "labels are the same twice", name)


def _checked_members(compressor: Compressor, context: FixedContext) -> frozenset[str]:
    parts = compressor.parts(context.subject, context.options)
    members = [name for part in parts.values() for name in part]
    require(bool(parts), "there is a part where it applies")
    empty = [label for label, part in parts.items() if not part]
    require(not empty, "parts have parameters", f"{empty} have none")
    unknown = sorted(set(members) - set(context.parameters))
    require(not unknown, "parts name parameters of the subject", f"{unknown} are none")
    repeated = sorted({name for name in members if members.count(name) > 1})
    require(not repeated, "parts have no parameter in common", f"{repeated} are in two")
    again = compressor.parts(context.subject, context.options)
    require({**parts} == {**again}, "parts are the same twice")
    return frozenset(members)


def _collect(compressor: Compressor, context: FixedContext, amounts: Sequence[float]) -> Sequence[Parameters]:
    # Copied one at a time: what was yielded may be reused for the next amount.
    collected = [
        {name: tensor.detach().clone() for name, tensor in parameters.items()}
        for parameters in compressor.compress(context, amounts)
    ]
    require(
        len(collected) == len(amounts),
        "yields once for each amount",
        f"{len(collected)} times for {len(amounts)} amounts",
    )
    return collected


def _check_form(original: Parameters, compressed: Parameters, amount: float) -> None:
    law = f"keeps names, shapes and types (amount {amount:g})"
    require(original.keys() == compressed.keys(), law, f"names {sorted(original.keys() ^ compressed.keys())} differ")
    for name, tensor in original.items():
        found: torch.Tensor = compressed[name]
        require(found.shape == tensor.shape, law, f"{name} has shape {tuple(found.shape)}, not {tuple(tensor.shape)}")
        require(found.dtype == tensor.dtype, law, f"{name} has type {found.dtype}, not {tensor.dtype}")


def _equal(one: Parameters, other: Parameters) -> bool:
    return all(equal_values(tensor, other[name]) for name, tensor in one.items())
