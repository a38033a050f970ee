"""The ``hessian`` probe: curvature of the training loss."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject, Task
from grokprobe.numerics.hessian import compute_hessian_product
from grokprobe.numerics.hutchinson import estimate_trace
from grokprobe.numerics.lanczos import compute_ritz_values
from grokprobe.numerics.parameter_vector import flatten, unflatten
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class HessianOptions(BaseModel):
    """Options of the ``hessian`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: How many of the largest eigenvalues to store.
    num_eigenvalues: int = Field(default=5, ge=1)
    #: Steps of Lanczos, each one Hessian-vector product; at least ``num_eigenvalues``. A float64 vector a step is kept.
    num_iterations: int = Field(default=40, ge=1)
    #: Random vectors for the trace, each one Hessian-vector product.
    num_probes: int = Field(default=20, ge=2)
    #: Precision of the Hessian-vector products: that of the file, or float64.
    precision: Literal["file", "float64"] = "file"
    #: Training samples per pass: bounds the memory, and changes only the last digits.
    batch_size: int = Field(default=1024, ge=1, repr=False)  # not shown, so not part of the generator's seed

    @model_validator(mode="after")
    def _has_enough_iterations(self) -> Self:
        if self.num_eigenvalues > self.num_iterations:
            raise ValueError(
                f"expected num_iterations of at least num_eigenvalues, found {self.num_iterations} and"
                f" {self.num_eigenvalues}"
            )
        return self


_LANCZOS: Final = "C. C. Paige, J. Inst. Maths Applics 18 (1976) 341"
_HUTCHINSON: Final = "M. F. Hutchinson, Commun. Stat. 19 (1990) 433"
_BOUND: Final = (
    "Residual norm of the Ritz pair: an eigenvalue lies within this distance. Rounding of the Hessian-vector products"
    " (precision of the network, relative to the largest |eigenvalue|) is not included."
)

HESSIAN_VARIABLES: Final = (
    VariableSpec(
        name="eigenvalue",
        dims=(names.RANK,),
        units="nat/weight^2",
        description=(
            "Largest eigenvalues, by value and not by magnitude, descending, of the Hessian of the mean training loss"
            " over all parameters, biases included: Ritz values of Lanczos with full reorthogonalisation. A multiple"
            " eigenvalue may appear once. NaN beyond the number of parameters, and throughout if a product is not"
            " finite."
        ),
        reference=_LANCZOS,
    ),
    VariableSpec(
        name="eigenvalue_error",
        dims=(names.RANK,),
        units="nat/weight^2",
        bounds=(0, None),
        description=_BOUND,
        reference=_LANCZOS,
    ),
    VariableSpec(
        name="smallest_eigenvalue",
        units="nat/weight^2",
        description=(
            "Smallest (most negative) Ritz value of the same iteration: an upper bound of the smallest eigenvalue;"
            " negative where the loss curves downwards in some direction."
        ),
        reference=_LANCZOS,
    ),
    VariableSpec(
        name="smallest_eigenvalue_error",
        units="nat/weight^2",
        bounds=(0, None),
        description=_BOUND,
        reference=_LANCZOS,
    ),
    VariableSpec(
        name="trace",
        units="nat/weight^2",
        description=(
            "Trace of the Hessian of the mean training loss over all parameters, estimated without bias as the mean of"
            " v^T H v over vectors v of random signs."
        ),
        reference=_HUTCHINSON,
    ),
    VariableSpec(
        name="trace_error",
        units="nat/weight^2",
        bounds=(0, None),
        description="Standard error of the trace: sample standard deviation of v^T H v over sqrt(num_probes).",
        reference=_HUTCHINSON,
    ),
)


class HessianProbe:
    """Measures the largest eigenvalues and the trace of the Hessian of the mean training loss, with error bars.

    Large eigenvalues are the few stiff directions of the loss, the trace is its mean curvature times the number of
    parameters; a run that moves to a flatter minimum while its training loss stays put shows it here. For a
    categorical likelihood the Hessian is the exact Fisher matrix plus a part proportional to the residuals p - y, which
    can have either sign and vanishes as the training samples are fitted.

    Every floating-point tensor that changes along the run is a parameter, biases included. Where the network is only
    piecewise smooth (ReLU), the Hessian is that of the piece the parameters lie in. The network runs in evaluation mode
    and in the precision of the file unless ``precision`` says otherwise; the loss, the sum over batches and all
    recurrences are in float64. Both estimates are random through the generator of the measure alone.

    Dimension: ``rank``, 1 for the largest eigenvalue.

    Reference:
        B. A. Pearlmutter, Neural Computation 6 (1994) 147, for the Hessian-vector product.
    """

    name = "hessian"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = HessianOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: HessianOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Says whether a task says what the loss is."""
        return Applicability(reason="" if subject.task is not None else "no task says what the loss is")

    def variables(self, options: HessianOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return HESSIAN_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: no task, or no training samples.
        """
        options: HessianOptions = context.options
        product, dimension = _hessian_of(context)
        generator = context.generator
        trace = estimate_trace(product, dimension, options.num_probes, generator, context.device)
        ritz = compute_ritz_values(product, dimension, options.num_iterations, generator, context.device)
        values = {
            "eigenvalue": _leading(ritz.values, options.num_eigenvalues),
            "eigenvalue_error": _leading(ritz.errors, options.num_eigenvalues),
            "smallest_eigenvalue": ritz.values[-1].numpy(),
            "smallest_eigenvalue_error": ritz.errors[-1].numpy(),
            "trace": np.asarray(trace.trace),
            "trace_error": np.asarray(trace.error),
        }
        rank = Coordinate(
            dim=names.RANK,
            values=np.arange(1, options.num_eigenvalues + 1),
            description="place in descending order, from 1 on",
        )
        return Measurement(values=values, coordinates={names.RANK: rank})


def _hessian_of(context: Context) -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """Returns v ↦ H v for the mean loss over the training samples, and the number of parameters."""
    task, samples, options = context.subject.task, context.train, context.options
    if task is None or not len(samples):
        raise UsageError("probe hessian: expected a task and training samples, found none; say which with --task")
    tensors = {name: _in_precision(tensor, options) for name, tensor in context.parameters.items()}
    weights = {name: tensor for name, tensor in tensors.items() if name not in context.subject.constant}

    def product(vector: torch.Tensor) -> torch.Tensor:
        tangent, total = unflatten(vector, weights), torch.zeros_like(vector)
        for start in range(0, len(samples), options.batch_size):
            inputs = _in_precision(samples.inputs[start : start + options.batch_size], options)
            targets = _in_precision(samples.targets[start : start + options.batch_size], options)
            loss = _loss_of(task, context, tensors, (inputs, targets))
            total += len(inputs) / len(samples) * flatten(compute_hessian_product(loss, weights, tangent))
        return total

    return product, sum(tensor.numel() for tensor in weights.values())


def _loss_of(
    task: Task, context: Context, tensors: Parameters, batch: tuple[torch.Tensor, torch.Tensor]
) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    inputs, targets = batch
    return lambda weights: task.loss(context.apply({**tensors, **weights}, inputs).double(), targets)


def _in_precision(tensor: torch.Tensor, options: HessianOptions) -> torch.Tensor:
    is_raised = options.precision == "float64" and tensor.is_floating_point()
    return tensor.double() if is_raised else tensor


def _leading(values: torch.Tensor, count: int) -> np.ndarray:
    """Returns the first ``count`` values; NaN where there are fewer."""
    return torch.nn.functional.pad(values[:count], (0, max(0, count - len(values))), value=torch.nan).numpy()
