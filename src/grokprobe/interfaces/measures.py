"""The three kinds of measures, and what they have in common."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe.interfaces.context import Context, Parameters, Subject
from grokprobe.requirements import Applicability, Requirement
from grokprobe.variables import Measurement, VariableSpec


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

    Core evaluates accuracy and loss over the amounts, their area and the compressibility.
    """

    def amounts(self, options: Any) -> np.ndarray:
        """Returns the increasing grid of amounts, from 0 (unchanged) to at most 1."""
        ...

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the compressed parameters for each amount, each from the original; amount 0 yields it unchanged."""
        ...


class GeometryMetric(Measure, Protocol):
    """An inner product of tangent vectors at a checkpoint's parameters, and nothing else."""

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the symmetric positive semi-definite matrix ⟨v_i, v_j⟩, float64, of shape (n, n)."""
        ...
