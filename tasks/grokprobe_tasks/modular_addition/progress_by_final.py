"""The ``progress_by_final`` probe: how much of the network adds by the frequencies that it ends with."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.variables import Measurement, VariableSpec
from grokprobe_tasks.modular_addition.progress_measures import (
    ProgressOptions,
    find_progress_applicability,
    measure_progress,
)
from grokprobe_tasks.modular_addition.progress_variables import PROGRESS_VARIABLES


class ProgressByFinalProbe:
    """Restricted and excluded loss, with the key frequencies of the run's last checkpoint at every checkpoint.

    This is how Nanda et al. follow a run: one set of frequencies, so that a curve has one meaning along it. Everything
    else is as in ``progress``, the rule for the key frequencies included. It is a probe of its own because the last
    checkpoint is not there while a run is still training.

    Reference:
        Nanda, Chan, Lieberum, Smith and Steinhardt, arXiv 2301.05217, section 5.1.
    """

    name = "progress_by_final"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT, Requirement.FINAL})
    is_cheap = False
    options: type[BaseModel] = ProgressOptions
    variants: Mapping[str, Mapping[str, Any]] = {"products": {"waves": "products"}}

    def applies(self, subject: Subject, options: ProgressOptions) -> Applicability:
        """Says whether the task is addition modulo p."""
        return find_progress_applicability(subject, options)

    def variables(self, options: ProgressOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return PROGRESS_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        return measure_progress(context, context.final)
