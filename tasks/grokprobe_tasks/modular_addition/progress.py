"""The ``progress`` probe: how much of the network adds by a few frequencies."""

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


class ProgressProbe:
    """Restricted and excluded loss, with the key frequencies of the checkpoint itself.

    The logits of all p² pairs, whatever network they come from, are written as waves in a and b by a two-dimensional
    discrete Fourier transform. A network that adds by angles has them in cos and sin of 2πk(a + b)/p for a few key
    frequencies k. The restricted loss keeps only those and the mean over the pairs, and is evaluated on all pairs; it
    falls where the network generalises by them. The excluded loss removes only those, and is evaluated on the training
    pairs; it rises where the network no longer does without them, that is by memory.

    The key frequencies are the fewest that together hold ``coverage`` of the squared logits, centred over the classes,
    that cos and sin of 2πk(a + b)/p hold for all k; or those given as ``key_frequencies``.

    Where this differs from Nanda et al.: they read the key frequencies off the embedding and the neurons of the final
    network and keep them for the whole run, for which see ``progress_by_final``. They speak of 20 terms for five
    frequencies but name only cos and sin of w(a + b), ten directions; the default is those, as in their code, and
    ``progress@products`` has all four products of a frequency. They do not say on which pairs the restricted loss is
    evaluated.

    Dimension: ``frequency``, 1 … p // 2; k and p − k are one frequency.

    Reference:
        Nanda, Chan, Lieberum, Smith and Steinhardt, arXiv 2301.05217, section 5.1.
    """

    name = "progress"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
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
        return measure_progress(context)
