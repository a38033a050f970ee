"""The ``linearity`` probe: what the network does with the opposite of its input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.evaluation import EVALUATION_BATCH, RunningEvaluation
from grokprobe.interfaces import Applicability, Context, Requirement, Subject, Task
from grokprobe.numerics.parity import COMPONENTS, ParityForm, split_by_parity
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class LinearityOptions(BaseModel):
    """Options of the ``linearity`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: The odd and the even part, or the authors' linear and non-linear one, without the factor 1/2.
    form: ParityForm = "half"
    #: The split whose inputs are mirrored.
    split: Literal["test", "train"] = "test"


_AUTHORS: Final = "code of arXiv 2502.01739"
_PARTS: Final = (
    "f(x), and for form half its odd part (f(x) - f(-x))/2 and its even part (f(x) + f(-x))/2, for form authors linear"
    " = -f(-x) and non_linear = f(x) + f(-x)"
)

LINEARITY_VARIABLES: Final = (
    VariableSpec(
        name="loss",
        dims=(names.COMPONENT,),
        units="nat",
        bounds=(0, None),
        description=f"Mean loss of the task over the split with the component as output: {_PARTS}.",
        reference=_AUTHORS,
    ),
    VariableSpec(
        name="accuracy",
        dims=(names.COMPONENT,),
        bounds=(0, 1),
        description=f"Fraction of the split that is classified correctly with the component as output: {_PARTS}.",
        reference=_AUTHORS,
    ),
    VariableSpec(
        name="norm",
        dims=(names.COMPONENT,),
        units="output",
        bounds=(0, None),
        description=f"Root of the mean over the split of the component's squared length: {_PARTS}.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="even_fraction",
        bounds=(0, 1),
        description=(
            "Sum over the split of the squared length of the even part (f(x) + f(-x))/2, as a share of that of the even"
            " and the odd part, in every form; NaN if the outputs are all zero or not finite."
        ),
        reference="grokprobe",
        headline=True,
    ),
)


@dataclass(slots=True)
class _Running:
    """One component of the outputs, over samples that come in batches."""

    evaluation: RunningEvaluation = field(default_factory=RunningEvaluation)
    square: float = 0.0

    def add(self, task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.evaluation.add(task, outputs, targets)
        self.square += outputs.square().sum().item()


class LinearityProbe:
    """Splits the outputs f(x) with the help of f(−x), and evaluates each part by itself.

    A network whose odd part alone solves the task has no need of its nonlinearities there. −x need not be an input of
    the task: for spins it is the flipped configuration, for one-hot encodings it lies outside the data. A part that is
    zero classifies every sample alike.

    Dimension: ``component``, the outputs themselves and their two parts.

    Reference:
        code of arXiv 2502.01739, whose split is the variant ``linearity@authors``. Its losses and norms are sums over
        batches; these are means over samples.
    """

    name = "linearity"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT})
    is_cheap = False
    options: type[BaseModel] = LinearityOptions
    variants: Mapping[str, Mapping[str, Any]] = {"authors": {"form": "authors"}, "train": {"split": "train"}}

    def applies(self, subject: Subject, options: LinearityOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Says whether a task tells the loss."""
        return Applicability(reason="" if subject.task is not None else "no task says what the loss is")

    def variables(self, options: LinearityOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return LINEARITY_VARIABLES

    @torch.inference_mode()
    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: no task, or inputs that have no opposite, such as indices.
        """
        options: LinearityOptions = context.options
        samples = context.test if options.split == "test" else context.train
        task = context.subject.task
        if task is None or not samples.inputs.is_floating_point():
            raise UsageError(
                f"probe linearity: expected a task with real inputs, found {task and task.name} with inputs of type"
                f" {samples.inputs.dtype}; leave the probe out for this task"
            )
        components = {name: _Running() for name in COMPONENTS[options.form]}
        squares: dict[str, float] = {"odd": 0.0, "even": 0.0}
        for start in range(0, len(samples), EVALUATION_BATCH):
            inputs, targets = (part[start : start + EVALUATION_BATCH] for part in (samples.inputs, samples.targets))
            pair = (context.apply(context.parameters, inputs), context.apply(context.parameters, -inputs))
            for name, outputs in split_by_parity(*pair, options.form).items():
                components[name].add(task, outputs, targets)
            halves = split_by_parity(*pair)
            for name in squares:
                squares[name] += halves[name].square().sum().item()
        return Measurement(
            values=_values(components, len(samples)) | {"even_fraction": _even_fraction(squares)},
            coordinates={
                names.COMPONENT: Coordinate(
                    dim=names.COMPONENT, values=np.array(list(components)), description="part of the outputs"
                )
            },
        )


def _values(components: Mapping[str, _Running], num_samples: int) -> dict[str, np.ndarray]:
    evaluations = [running.evaluation.result() for running in components.values()]
    squares = np.array([running.square for running in components.values()])
    return {
        "loss": np.array([evaluation.loss for evaluation in evaluations]),
        "accuracy": np.array([evaluation.accuracy for evaluation in evaluations]),
        "norm": np.sqrt(squares / num_samples) if num_samples else np.full(len(squares), np.nan),
    }


def _even_fraction(squares: Mapping[str, float]) -> np.ndarray:
    total = sum(squares.values())
    return np.array(squares["even"] / total if 0 < total < np.inf else np.nan)
