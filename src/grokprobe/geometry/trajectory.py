"""What the core makes of a metric: the path of a run as the metric sees it."""

import bisect
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe import names
from grokprobe.evaluation import EVALUATION_BATCH
from grokprobe.geometry.stiff_split import StiffSplits, find_threshold, find_thresholds
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.geometry.trajectory_variables import SLOPPY, STIFF, trajectory_variables
from grokprobe.interfaces import Applicability, Context, GeometryMetric, Parameters, Requirement, Subject
from grokprobe.numerics.divergence import compute_divergences
from grokprobe.numerics.inner_products import UNDEFINED, InnerProducts, compute_angle
from grokprobe.numerics.stiff_subspace import subtract
from grokprobe.options import combine_options
from grokprobe.variables import Coordinate, Measurement, VariableSpec

#: Needed for the two measures that look at what the network says about its training samples.
DATA: Final = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
#: Changes whenever a number that follows from the inner products may change.
PATH_VERSION: Final = "1"
#: More checkpoints than any run has.
_MANY: Final = 1 << 40


class Trajectory:
    """Measures the steps between checkpoints in a metric.

    The step s^e = θ^{e+f} − θ^e starts at checkpoint e and joins stored checkpoints, however many epochs lie between
    them; f is the stride. Its norm and its cosine with −θ^e, towards the origin, are in the metric at e, where it
    starts; its cosine with the step before it is in the metric at the checkpoint that both share. All three factors of
    a cosine are in one metric, so that it lies in [−1, 1] and is 1 on a straight line whatever the metric is.

    On request every norm and cosine is measured in the stiff and in the sloppy subspace, too. Both are the same for
    all checkpoints of a run and for all metrics: what the outputs respond to most at the run's last checkpoint. In
    a diagonal metric the squares of the two norms sum to that of the whole.

    Tensors that are the same in every checkpoint of the run are no parameters and not part of the path. The version is
    that of the metric, of the path and, where there is one, of the diagonal approximation.
    """

    def __init__(self, metric: GeometryMetric, diagonal: GeometryMetric | None = None) -> None:
        """Binds the metric.

        Args:
            metric: gives the inner products.
            diagonal: its diagonal approximation, which takes the same options; None where there is none.
        """
        self._metric = metric
        self._diagonal = diagonal
        self._splits = StiffSplits()
        self.name = metric.name
        versions = [metric.version, f"path.{PATH_VERSION}", *([f"diagonal.{diagonal.version}"] if diagonal else [])]
        self.version = "+".join(versions)
        self.requires = metric.requires | {Requirement.NEIGHBOURS, Requirement.INITIAL}
        self.is_cheap = metric.is_cheap
        self.options: type[BaseModel] = combine_options(TrajectoryOptions, metric.options)
        self.variants: Mapping[str, Mapping[str, Any]] = {
            "stiff": {"subspaces": True},
            "divergence": {"divergence": True},
            **metric.variants,
        }

    def __reduce__(self) -> Any:
        """Pickles the metrics alone: the class of the options stands in no module."""
        return Trajectory, (self._metric, self._diagonal)

    def requirements(self, options: Any) -> frozenset[Requirement]:
        """Returns what is needed under ``options``."""
        needs = self.requires
        if options.subspaces:
            needs |= DATA | {Requirement.FINAL}
        return needs | DATA if options.divergence else needs

    def reach(self, options: Any) -> int:
        """Returns how many stored checkpoints before and after its own it looks at."""
        return options.stride

    def applies(self, subject: Subject, options: Any) -> Applicability:
        """Applies where the metric does; the divergence needs a task that says what its outputs mean."""
        if options.divergence and subject.task is None:
            return Applicability(reason="no task says what the outputs mean")
        return self._metric.applies(subject, options)

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        """Returns the specifications."""
        return trajectory_variables(options, has_diagonal=self._diagonal is not None)

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            VariableError: the metric is none: it gives a negative square, or a cosine above 1.
        """
        options = context.options
        tangents = _build_tangents(context)
        values = _measure_schedule(context)
        coordinates: dict[str, Coordinate] = {}
        if options.subspaces:
            own, coordinates = self._split(context, tangents)
            values |= own
        products = _compute_products(self._metric, context, tangents)
        for suffix in ("", STIFF, SLOPPY) if options.subspaces else ("",):
            values |= _measure_path(products, suffix, context)
        if options.subspaces:
            at_each = [products.norm(_at(place)) for place in range(len(options.thresholds))]
            values["step_norm_stiff_at"] = np.array(at_each, dtype=np.float64)
        if options.chord_points:
            values["chord_norm"] = np.asarray(_measure_chord(self._metric, context))
        if self._diagonal is not None and options.diagonal_error:
            whole = {name: tangents[name] for name in ("step", "arrival", "origin") if name in tangents}
            diagonal = _measure_path(_compute_products(self._diagonal, context, whole), "", context)
            values |= _compare(diagonal, values)
        if options.divergence:
            values["step_kl"] = np.asarray(_measure_divergence(context))
            values["step_kl_quadratic"] = values["step_norm"] ** 2 / 2
        return Measurement(values=values, coordinates=coordinates)

    def _split(
        self, context: Context, tangents: dict[str, Parameters]
    ) -> tuple[dict[str, np.ndarray], dict[str, Coordinate]]:
        """Adds the stiff and sloppy parts of the tangents, and returns the size of the stiff subspace."""
        options: Any = context.options
        subspaces = self._splits.find(context)
        threshold, others = find_threshold(subspaces, options), find_thresholds(subspaces, options)
        for name, tangent in list(tangents.items()):
            stiff = subspaces.project(tangent, threshold)
            tangents |= {name + STIFF: stiff, name + SLOPPY: subtract(tangent, stiff)}
        if "step" in tangents:
            tangents |= {_at(place): subspaces.project(tangents["step"], other) for place, other in enumerate(others)}
        values = {
            "stiff_fraction": np.asarray(subspaces.fraction(threshold)),
            "stiff_fraction_at": np.array([subspaces.fraction(other) for other in others], dtype=np.float64),
        }
        coordinate = Coordinate(
            dim=names.THRESHOLD,
            values=np.array(options.thresholds, dtype=np.float64),
            description="least stiffness, or least share of the largest where the rule is relative",
        )
        return values, {names.THRESHOLD: coordinate}


def _build_tangents(context: Context) -> dict[str, Parameters]:
    """Returns the step that starts here, the one that arrives here, and minus the parameters; those that there are."""
    here, stride = context.parameters, context.options.stride
    following, before = context.neighbour(stride), context.neighbour(-stride)
    tangents: dict[str, Parameters] = {"origin": {name: -tensor for name, tensor in here.items()}}
    tangents |= {} if following is None else {"step": subtract(following, here)}
    tangents |= {} if before is None else {"arrival": subtract(here, before)}
    return {name: _without_constants(tangent, context.subject) for name, tangent in tangents.items()}


def _without_constants(tangent: Parameters, subject: Subject) -> Parameters:
    return {name: torch.zeros_like(part) if name in subject.constant else part for name, part in tangent.items()}


def _measure_schedule(context: Context) -> dict[str, np.ndarray]:
    following = context.neighbour_epoch(context.options.stride)
    num_before = bisect.bisect_left(range(1, _MANY), True, key=lambda back: context.neighbour_epoch(-back) is None)
    first = context.neighbour_epoch(-num_before) if num_before else context.epoch
    return {
        "step_epochs": np.asarray(UNDEFINED if following is None else float(following - context.epoch)),
        "chord_epochs": np.asarray(UNDEFINED if first is None else float(context.epoch - first)),
    }


def _compute_products(metric: GeometryMetric, context: Context, tangents: Mapping[str, Parameters]) -> InnerProducts:
    gram = metric.gram(context, list(tangents.values()))
    return InnerProducts(places={name: place for place, name in enumerate(tangents)}, gram=gram.cpu())


def _measure_path(products: InnerProducts, suffix: str, context: Context) -> dict[str, np.ndarray]:
    step, arrival, origin = (name + suffix for name in ("step", "arrival", "origin"))
    rounding = max(torch.finfo(tensor.dtype).eps for tensor in context.parameters.values()) * products.norm(origin)
    step_cosine = products.cosine(step, arrival, (rounding, rounding))
    values = {
        "step_norm": products.norm(step),
        "step_cosine": step_cosine,
        "turning_angle": compute_angle(step_cosine),
        "origin_cosine": products.cosine(step, origin, (rounding, 0.0)),
    }
    return {name + suffix: np.asarray(value) for name, value in values.items()}


def _measure_chord(metric: GeometryMetric, context: Context) -> float:
    """Returns the length of the straight segment from the run's first checkpoint to this one."""
    num_points, initial = context.options.chord_points, context.initial
    whole = _without_constants(subtract(context.parameters, initial), context.subject)
    piece = {name: part / num_points for name, part in whole.items()}
    length = 0.0
    for number in range(num_points):
        point = {name: tensor + (number / num_points) * whole[name] for name, tensor in initial.items()}
        length += _compute_products(metric, context.at(point), {"piece": piece}).norm("piece")
    return length


def _compare(diagonal: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    norm = exact["step_norm"].item()
    return {
        "diagonal_error_norm": np.asarray(diagonal["step_norm"].item() / norm - 1 if norm > 0 else UNDEFINED),
        "diagonal_error_cosine": diagonal["step_cosine"] - exact["step_cosine"],
        "diagonal_error_origin_cosine": diagonal["origin_cosine"] - exact["origin_cosine"],
    }


@torch.no_grad()
def _measure_divergence(context: Context) -> float:
    """Returns the mean divergence over the training samples of the end of the step from this checkpoint."""
    following, inputs, task = context.neighbour(context.options.stride), context.train.inputs, context.subject.task
    if following is None or task is None or not len(inputs):
        return UNDEFINED
    total = 0.0
    for batch in inputs.split(EVALUATION_BATCH):
        outputs, others = context.apply(context.parameters, batch), context.apply(following, batch)
        total += compute_divergences(outputs, others, task.likelihood.value).sum().item()
    return total / len(inputs)


def _at(place: int) -> str:
    """Returns the name of the stiff part of the step at the threshold of this place."""
    return f"step{STIFF}_{place}"
