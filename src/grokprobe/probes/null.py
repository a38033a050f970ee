"""Nulls: what a probe measures on networks that have learned nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.checkpoints.mapping import map_parameters
from grokprobe.errors import UsageError
from grokprobe.interfaces import Applicability, Context, Parameters, Probe, Requirement, Subject, Task
from grokprobe.numerics.layers import find_running_statistics
from grokprobe.numerics.streams import build_generator
from grokprobe.options import combine_options
from grokprobe.variables import Coordinate, Measurement, VariableSpec

#: Changes whenever the copies of a checkpoint may change.
NULL_VERSION: Final = "1"
#: Labels ``name@null``, and ``name@null-…`` for a second one under other options, are nulls.
NULL_VARIANT: Final = "null"
#: A copy of one checkpoint has no place in a run, and says nothing about these.
_ELSEWHERE: Final = frozenset({Requirement.NEIGHBOURS, Requirement.INITIAL, Requirement.FINAL, Requirement.OTHER_RUN})


class NullOptions(BaseModel):
    """Options of a null beside those of its probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: ``permuted``: the entries of each tensor in a random order. ``reinitialised``: the task's initialisation.
    copies: Literal["permuted", "reinitialised"] = "permuted"
    #: Number of independent copies of each checkpoint.
    num_draws: int = Field(default=10, ge=1)


def is_null(variant: str) -> bool:
    """Says whether a label ``name@variant`` stands for the null of a probe.

    Example:
        >>> assert is_null("null") and is_null("null-reinitialised") and not is_null("nullify")
    """
    return variant == NULL_VARIANT or variant.startswith(f"{NULL_VARIANT}-")


class NullProbe:
    """Measures copies of a checkpoint without structure, so that a number can be read against chance.

    ``permuted`` copies keep the distribution of the entries of every tensor and lose where they stand: each tensor that
    changes along the run, biases too, has its entries in a random order, all orders equally likely. What a trained
    network has and they have not is arrangement; what both have comes from the sizes of the weights alone.
    ``reinitialised`` copies are drawn as the task initialises its network, times the run's init_scale: where training
    starts, at another seed. Tensors that are the same in every checkpoint of the run are buffers and stay.

    The copies are independent of each other, of those at other checkpoints, and of what the probe itself draws. The
    variables are those of the probe, with a leading dimension ``draw``.

    A probe that looks at other checkpoints has no null.
    """

    def __init__(self, probe: Probe) -> None:
        """Binds the probe that measures the copies."""
        self._probe = probe
        self.name = f"{probe.name}@{NULL_VARIANT}"
        self.version = f"{probe.version}+null.{NULL_VERSION}"
        self.requires = probe.requires
        self.is_cheap = False
        self.options: type[BaseModel] = combine_options(NullOptions, probe.options)
        self.variants: Mapping[str, Mapping[str, Any]] = {
            NULL_VARIANT: {},
            f"{NULL_VARIANT}-reinitialised": {"copies": "reinitialised"},
        }

    def __reduce__(self) -> Any:
        """Pickles the probe alone: the class of the options stands in no module."""
        return NullProbe, (self._probe,)

    def applies(self, subject: Subject, options: Any) -> Applicability:
        """Applies where the probe does, unless a copy does not have what the probe looks at."""
        if elsewhere := sorted(self.requires & _ELSEWHERE):
            return Applicability(reason=f"it looks at {', '.join(elsewhere)}, which a copy of one checkpoint has not")
        if taken := sorted(set(NullOptions.model_fields) & set(self._probe.options.model_fields)):
            return Applicability(reason=f"its own option {taken[0]} has the name of an option of nulls")
        if options.copies == "reinitialised":
            try:
                _map_names(subject)
            except UsageError as error:
                return Applicability(reason=str(error))
        return self._probe.applies(subject, options)

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        """Returns the probe's specifications, with ``draw`` first."""
        how = "permuted within each tensor" if options.copies == "permuted" else "initialised anew"
        return tuple(
            replace(
                spec,
                dims=(names.DRAW, *spec.dims),
                description=f"Of a copy whose weights are {how}: {spec.description}",
                headline=False,
            )
            for spec in self._probe.variables(options)
        )

    def measure(self, context: Context) -> Measurement:
        """Measures every copy of one checkpoint.

        Raises:
            UsageError: the network is none of the task's, and so cannot be initialised.
        """
        options = context.options
        draw_copy = _permute if options.copies == "permuted" else _initialiser(context)
        # A seed of their own: the probe's draws begin where the context's generator does.
        seed = int(torch.randint(2**62, (), generator=context.generator))
        measurements = [
            self._probe.measure(context.at(draw_copy(context, build_generator(seed, draw))))
            for draw in range(options.num_draws)
        ]
        values = {
            name: np.stack([np.asarray(measurement.values[name]) for measurement in measurements])
            for name in measurements[0].values
        }
        draws = Coordinate(
            dim=names.DRAW, values=np.arange(options.num_draws), description="number of the copy, from 0 on"
        )
        return Measurement(values=values, coordinates={names.DRAW: draws, **measurements[0].coordinates})


def _permute(context: Context, generator: torch.Generator) -> Parameters:
    def permuted(tensor: torch.Tensor) -> torch.Tensor:
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        return tensor.flatten()[order].reshape(tensor.shape)

    constant = context.subject.constant
    return {
        name: tensor if name in constant else permuted(tensor.detach()) for name, tensor in context.parameters.items()
    }


def _initialiser(context: Context) -> Callable[[Context, torch.Generator], Parameters]:
    task, own_names = _map_names(context.subject)

    def draw_copy(context: Context, generator: torch.Generator) -> Parameters:
        model = task.build_model()
        task.initialise(model, generator)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(context.run.init_scale)
        drawn = {own_names[name]: tensor for name, tensor in model.state_dict().items() if name in own_names}
        return {name: drawn.get(name, tensor).to(tensor) for name, tensor in context.parameters.items()}

    return draw_copy


def _map_names(subject: Subject) -> tuple[Task, Mapping[str, str]]:
    """Returns the task, and the checkpoint's name of every tensor of the task's own network.

    Raises:
        UsageError: there is no task, or the checkpoint is not of its network.
    """
    if subject.task is None:
        raise UsageError("no task says how its network is initialised")
    model = subject.task.build_model()
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    left_out = subject.constant - find_running_statistics(subject.shapes)
    weights = {name: shape for name, shape in subject.shapes.items() if name not in left_out}
    try:
        return subject.task, map_parameters(weights, own, {})
    except UsageError as error:
        raise UsageError(
            f"the network is not that of task {subject.task.name}, so not initialised by it: {error}"
        ) from error
