"""The ``similarity`` probe: how alike the layers are to those of the previous and of the first checkpoint."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.probes.layer_similarity import SIMILARITY_VARIABLES, SimilarityOptions, measure_similarity
from grokprobe.variables import Measurement, VariableSpec


class SimilarityProbe:
    """Compares the representations of each layer with those of earlier checkpoints of the run.

    Similarity to the first checkpoint says how far features have been learned at all; to the previous one, how fast
    they change. ``similarity_to_final`` and ``similarity_to_run`` compare with other checkpoints.

    Dimensions: ``layer``, in the order of execution; ``other``, ``previous`` and ``initial``, the stored checkpoints.
    """

    name = "similarity"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TEST_SPLIT, Requirement.NEIGHBOURS, Requirement.INITIAL})
    is_cheap = False
    options: type[BaseModel] = SimilarityOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: SimilarityOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Applies wherever its requirements are met."""
        return Applicability()

    def variables(self, options: SimilarityOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return SIMILARITY_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        return measure_similarity(context, {"previous": context.previous, "initial": context.initial})
