"""The three kinds of measures, and what they have in common."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe.interfaces.context import Context, Parameters, Subject
from grokprobe.requirements import Applicability, Requirement
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class Measure(Protocol):
    """What probes, compressors and metrics have in common."""

    #: Name on the command line and in the dataset.
    name: str
    #: Changes whenever a number may change. Results of another version are replaced only by ``--recompute``.
    version: str
    #: What it needs; a subject that lacks one of them is "does not apply here".
    requires: frozenset[Requirement]
    #: Whether it runs when no measure is named.
    is_cheap: bool
    #: Strict pydantic model of its options, every field with a default.
    options: type[BaseModel]
    #: Variant → the option values that a label ``name@variant`` starts from. A label with any other variant starts
    #: from the defaults; one that is almost a variant's, with no option set for it, is refused.
    variants: Mapping[str, Mapping[str, Any]]

    def applies(self, subject: Subject, options: Any) -> Applicability:
        """Says whether it applies beyond :attr:`requires`, from what is known before anything runs."""
        ...


class Probe(Measure, Protocol):
    """Numbers about one checkpoint.

    Laws: does not modify the context; same context, options and generator seed give an equal result; coordinates
    depend on subject and options alone.
    """

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        """Returns the specification of every variable it measures under ``options``."""
        ...

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint. Undefined is NaN."""
        ...


class Compressor(Measure, Protocol):
    """The parameters of a checkpoint compressed by an amount in [0, 1].

    Core evaluates accuracy and loss over the amounts on the test split, their area and the compressibility, for the
    whole network and, on request, for one part of it at a time.
    """

    def amounts(self, options: Any) -> np.ndarray:
        """Returns the increasing grid of amounts, from 0 (unchanged) to at most 1."""
        ...

    def labels(self, options: Any) -> Mapping[str, Coordinate]:
        """Returns further labels along the amounts, such as numbers of bits; empty where there are none."""
        ...

    def parts(self, subject: Subject, options: Any) -> Mapping[str, tuple[str, ...]]:
        """Returns label → names of the parameters, for each part of the network that can be compressed by itself.

        Together they are all parameters that :meth:`compress` changes.
        """
        ...

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the compressed parameters for each amount, each from the original; amount 0 yields it unchanged."""
        ...


class GeometryMetric(Measure, Protocol):
    """An inner product of tangent vectors at a checkpoint's parameters, and nothing else."""

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the symmetric positive semi-definite matrix ⟨v_i, v_j⟩, float64, of shape (n, n)."""
        ...
