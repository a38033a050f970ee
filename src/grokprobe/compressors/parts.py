"""Which tensors of a network are compressed, and to which of its layers they belong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from grokprobe.interfaces import Applicability, Parameters, Subject
from grokprobe.numerics.layers import layer_label
from grokprobe.probes.weight_tensors import select_weights


class LayerOptions(BaseModel):
    """Which layers are compressed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether the last layer, that of the last weight tensor in the order of the file, is compressed like the others.
    last_layer: bool = True


class BiasOptions(LayerOptions):
    """Which tensors are compressed."""

    #: Whether biases and other vectors are compressed too, and not only weight tensors, those with two or more axes.
    biases: bool = False


class PruningOptions(BiasOptions):
    """What is pruned, and by which amounts."""

    #: Number of amounts, evenly from 0 to 1.
    num_amounts: int = Field(default=101, ge=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSelection:
    """The tensors to compress, by layer."""

    #: Label of the layer → names of its tensors, in the order of the file.
    parts: Mapping[str, tuple[str, ...]]
    #: Whether there are some, and what is left out.
    applicability: Applicability

    def of(self, parameters: Parameters) -> Parameters:
        """Returns those of ``parameters`` that are compressed."""
        return {name: parameters[name] for part in self.parts.values() for name in part}


def select_parts(subject: Subject, options: LayerOptions) -> PartSelection:
    """Selects the tensors to compress. A tensor that never changes along the run is a buffer and never among them.

    A layer is a weight tensor, labelled by its name without a trailing ``.weight``. Where biases are compressed too,
    the vectors of the same module belong to it: ``input.bias`` to ``input.weight``. Other vectors are layers by
    themselves.
    """
    weights = select_weights(subject)
    has_biases = isinstance(options, BiasOptions) and options.biases
    selection = select_weights(subject, biases=True) if has_biases else weights
    labels = {name: layer_label(name, subject.shapes) for name in weights.parameters}
    modules = {name.removesuffix(".weight"): label for name, label in labels.items()}
    parts: dict[str, tuple[str, ...]] = {}
    for name in selection.parameters:
        label = labels.get(name) or modules.get(name.rpartition(".")[0], name)
        parts[label] = (*parts.get(label, ()), name)
    if options.last_layer or not weights.parameters:
        verdict = Applicability(reason=selection.reason, notices=selection.notices)
        return PartSelection(parts=parts, applicability=verdict)
    last = labels[weights.parameters[-1]]
    del parts[last]
    if not parts:
        return PartSelection(parts={}, applicability=Applicability(reason=f"{last} is the last layer and the only one"))
    notices = (*selection.notices, f"{last} is left out: the last layer")
    return PartSelection(parts=parts, applicability=Applicability(notices=notices))


def build_amounts(number: int) -> np.ndarray:
    """Returns ``number`` amounts evenly from 0 to 1, each the float nearest to it: 0.29 is among 101."""
    return np.arange(number) / (number - 1)
