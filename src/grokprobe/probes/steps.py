"""The ``steps`` probe: which way the parameters move, and which of them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.numerics.blocks import split_blocks
from grokprobe.numerics.decile_changes import change_by_decile
from grokprobe.numerics.layers import layer_label
from grokprobe.numerics.steps import NUM_DECILES, Cosines, Products, Relative, combine_cosines, compute_products
from grokprobe.probes.steps_variables import steps_variables
from grokprobe.probes.weight_tensors import WeightSelection, select_weights
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class StepsOptions(BaseModel):
    """Options of the ``steps`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether vectors count too: biases, and the scales of normalisations. Each is a layer of its own.
    biases: bool = False
    #: What the change of a weight is relative to: the size of its decile, or its own, as in the authors' code.
    relative: Relative = "decile"


class StepsProbe:
    """Compares the parameters of a checkpoint with its neighbours' and with the first one's.

    Steps join stored neighbours, however many epochs lie between them, in the Euclidean metric. Dimensions: ``layer``,
    one per weight tensor in the order of the file; ``decile``, from the smallest magnitudes (1) to the largest (10).

    The authors' code computes the same cosines of checkpoints. Its cosine of steps compares a model with its own copy,
    which is not reproduced; the variant ``steps@authors`` has its relative change.

    Reference:
        code of arXiv 2502.01739; not in the paper.
    """

    name = "steps"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS, Requirement.NEIGHBOURS, Requirement.INITIAL})
    is_cheap = True
    options: type[BaseModel] = StepsOptions
    variants: Mapping[str, Mapping[str, Any]] = {"authors": {"relative": "weight"}, "biases": {"biases": True}}

    def applies(self, subject: Subject, options: StepsOptions) -> Applicability:
        """Says whether there is a weight tensor, and which tensors are left out because they never change."""
        selection = _select(subject, options)
        return Applicability(reason=selection.reason, notices=selection.notices)

    def variables(self, options: StepsOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications."""
        return steps_variables(options.relative)

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint. A layer at a time is in memory, with those of the checkpoints beside it."""
        options: StepsOptions = context.options
        weights = _select(context.subject, options).parameters
        layers = [_compare(context, name, options.relative) for name in weights]
        cosines = {
            "previous_cosine": _combine([layer.previous for layer in layers]),
            "initial_cosine": combine_cosines([layer.initial for layer in layers]),
            "step_cosine": _combine([layer.step for layer in layers], [layer.rounding for layer in layers]),
        }
        values = {name: cosine.parts.cpu().numpy() for name, cosine in cosines.items()}
        values |= {f"network_{name}": cosine.whole.cpu().numpy() for name, cosine in cosines.items()}
        values["decile_change"] = torch.stack([layer.changes for layer in layers]).cpu().numpy()
        values["network_decile_change"] = _change_network(context, weights, options.relative).cpu().numpy()
        return Measurement(
            values=values,
            coordinates=_coordinates([layer_label(name, context.subject.shapes) for name in weights]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """What is kept of one layer when the next is read."""

    #: Of the weights with the previous ones; None at the first checkpoint.
    previous: Products | None
    #: Of the step to the weights with the step from them; None at both ends of the run.
    step: Products | None
    #: Of the weights with the first ones.
    initial: Products
    #: Changes by decile.
    changes: torch.Tensor
    #: Norm of a step that changes every weight by one rounding of its type.
    rounding: float


def _select(subject: Subject, options: StepsOptions) -> WeightSelection:
    return select_weights(subject, biases=options.biases)


def _compare(context: Context, name: str, relative: Relative) -> _Layer:
    here = context.parameters[name]
    previous, step, changes = _compare_neighbours(context, name, here, relative)
    return _Layer(
        previous=previous,
        step=step,
        initial=compute_products(_pairs(here, context.initial[name])),
        changes=changes,
        rounding=torch.finfo(here.dtype).eps * _norm(here),
    )


def _compare_neighbours(
    context: Context, name: str, here: torch.Tensor, relative: Relative
) -> tuple[Products | None, Products | None, torch.Tensor]:
    if context.previous is None:
        return None, None, torch.full((NUM_DECILES,), torch.nan)
    before, step = context.previous[name], None
    if context.next is not None:
        blocks = split_blocks(before, here, context.next[name])
        step = compute_products((now - earlier, later - now) for earlier, now, later in blocks)
    changes = change_by_decile(lambda: [here], lambda: [before], here.numel(), relative)
    return compute_products(_pairs(here, before)), step, changes


def _pairs(left: torch.Tensor, right: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return ((one, other) for one, other in split_blocks(left, right))


def _norm(weights: torch.Tensor) -> float:
    return math.hypot(*(torch.linalg.vector_norm(block).item() for (block,) in split_blocks(weights)))


def _combine(products: list[Products | None], rounding: list[float] | None = None) -> Cosines:
    """Returns the cosines; undefined at an end of the run, where the products of every layer are missing."""
    known = [product for product in products if product is not None]
    if len(known) == len(products):
        return combine_cosines(known, rounding)
    undefined = torch.full((len(products),), torch.nan, dtype=torch.float64)
    return Cosines(parts=undefined, whole=undefined.sum())


def _change_network(context: Context, weights: tuple[str, ...], relative: Relative) -> torch.Tensor:
    here, before = context.parameters, context.previous
    if before is None:
        return torch.full((NUM_DECILES,), torch.nan)
    num_weights = sum(math.prod(context.subject.shapes[name]) for name in weights)
    return change_by_decile(
        lambda: (here[name] for name in weights), lambda: (before[name] for name in weights), num_weights, relative
    )


def _coordinates(labels: list[str]) -> dict[str, Coordinate]:
    return {
        names.LAYER: Coordinate(dim=names.LAYER, values=np.array(labels), description="weight tensor"),
        names.DECILE: Coordinate(
            dim=names.DECILE,
            values=np.arange(1, NUM_DECILES + 1),
            description="tenth of the weights by magnitude, 1 the smallest",
        ),
    }
