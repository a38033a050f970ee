"""The ``similarity_to_final`` probe: how alike the layers are to those of the run's last checkpoint."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.probes.layer_similarity import SIMILARITY_VARIABLES, SimilarityOptions, measure_similarity
from grokprobe.variables import Measurement, VariableSpec


class SimilarityToFinalProbe:
    """Compares the representations of each layer with those of the last checkpoint of the run.

    A similarity that rises before the test accuracy does shows features that form before they are used. It is a probe
    of its own because the last checkpoint is not there while a run is still training.

    Dimensions: ``layer``, in the order of execution; ``other``, which is ``final`` alone.
    """

    name = "similarity_to_final"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TEST_SPLIT, Requirement.FINAL})
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
        return measure_similarity(context, {"final": context.final})
