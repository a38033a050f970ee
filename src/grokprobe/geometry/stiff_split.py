"""Which subspaces of a run are stiff, from its last checkpoint."""

from typing import Any

import torch

from grokprobe.errors import UsageError
from grokprobe.geometry.tangents import find_weights
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.interfaces import Context
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_directions import compute_fisher_directions
from grokprobe.numerics.output_fisher import IdentityFisher
from grokprobe.numerics.stiff_subspace import StiffDirections, StiffParameters, StiffSubspaces
from grokprobe.numerics.stiffness import compute_stiff_threshold


class StiffSplits:
    """Finds the stiff subspaces of a run, and remembers those of the last run it was asked about.

    They are the same for every checkpoint of a run and every metric, and take longer than a step. A copy in another
    process starts without a memory.
    """

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._known: tuple[tuple[Any, ...], StiffSubspaces] | None = None

    def __reduce__(self) -> Any:
        """Pickles nothing of what is remembered."""
        return StiffSplits, ()

    def find(self, context: Context) -> StiffSubspaces:
        """Returns the stiff subspaces of the run of ``context``.

        Raises:
            UsageError: no training sample, or eigenvectors of a network that is not small.
        """
        inputs, final, basis = context.train.inputs, context.final, context.options.stiff_basis
        key = (inputs, *final.values(), basis)
        if self._known is not None and _is_same(self._known[0], key):
            return self._known[1]
        found = _compute_subspaces(context, inputs)
        self._known = (key, found)
        return found


def find_threshold(subspaces: StiffSubspaces, options: TrajectoryOptions) -> float:
    """Returns the stiffness from which on the split calls something stiff."""
    return compute_stiff_threshold(subspaces.stiffness, options.stiff_rule, options.stiff_threshold)


def find_thresholds(subspaces: StiffSubspaces, options: TrajectoryOptions) -> list[float]:
    """Returns the stiffness for each of the further thresholds."""
    rule = "relative" if options.stiff_rule == "relative" else "absolute"
    return [compute_stiff_threshold(subspaces.stiffness, rule, threshold) for threshold in options.thresholds]


def _compute_subspaces(context: Context, inputs: torch.Tensor) -> StiffSubspaces:
    if len(inputs) == 0:
        raise UsageError("stiff subspaces: expected at least one training sample, found none")
    final, names = context.final, find_weights(context)
    if context.options.stiff_basis == "eigenvectors":
        directions: StiffDirections = compute_fisher_directions(context, final, inputs, IdentityFisher(), names=names)
        return directions
    diagonal = compute_fisher_diagonal(context, final, inputs, IdentityFisher(), names=names)
    return StiffParameters(diagonal=diagonal)


def _is_same(known: tuple[Any, ...], key: tuple[Any, ...]) -> bool:
    """Says whether both hold the same objects: tensors that were loaded once are not compared number by number."""
    return len(known) == len(key) and all(one is other for one, other in zip(known, key, strict=True))
