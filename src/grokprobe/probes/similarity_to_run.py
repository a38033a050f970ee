"""The ``similarity_to_run`` probe: how alike the layers are to those of a declared checkpoint of another run."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.probes.layer_similarity import SIMILARITY_VARIABLES, SimilarityOptions, measure_similarity
from grokprobe.variables import Measurement, VariableSpec


class SimilarityToRunProbe:
    """Compares the representations of each layer with those of the checkpoint given by ``run.reference``.

    Two runs that have found the same features have similar layers, whatever order their units are in. Both networks
    see this run's test samples, some of which the other may have been trained on.

    Dimensions: ``layer``, in the order of execution; ``other``, which is ``reference`` alone.
    """

    name = "similarity_to_run"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TEST_SPLIT, Requirement.OTHER_RUN})
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
        return measure_similarity(context, {"reference": context.reference})
