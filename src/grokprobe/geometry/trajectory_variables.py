"""What is stored of a path in any metric."""

from collections.abc import Iterator
from typing import Final

from grokprobe import names
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.variables import VariableSpec

STIFF: Final = "_stiff"
SLOPPY: Final = "_sloppy"
#: Units of a norm: those of the metric.
METRIC: Final = "metric"

_SMALL: Final = (
    "a norm is rounding if it is at most that of the parameters times the relative rounding of their type, both in the"
    " metric"
)
_EXTENTS: Final = {
    "": "",
    STIFF: ", all vectors projected onto the stiff subspace",
    SLOPPY: ", all vectors projected onto the sloppy subspace",
}
_DIAGONAL: Final = "of the diagonal approximation of the metric"


def trajectory_variables(options: TrajectoryOptions, *, has_diagonal: bool) -> tuple[VariableSpec, ...]:
    """Returns the specification of every variable.

    Args:
        options: of the path.
        has_diagonal: whether the diagonal approximation of the metric is known.
    """
    path = [_path(suffix, options.stride) for suffix in ("", STIFF, SLOPPY)]
    specs = [*path[0], *_schedule()]
    if options.chord_points:
        specs.append(_chord(options.chord_points))
    if has_diagonal and options.diagonal_error:
        specs.extend(_diagonal_errors())
    if options.divergence:
        specs.extend(_divergences())
    if options.subspaces:
        specs.extend((*path[1], *path[2], *_sensitivity()))
    return tuple(specs)


def _path(suffix: str, stride: int) -> Iterator[VariableSpec]:
    extent = _EXTENTS[suffix]
    following = "the next" if stride == 1 else f"the one {stride} stored checkpoints later"
    yield VariableSpec(
        name=f"step_norm{suffix}",
        units=METRIC,
        bounds=(0, None),
        description=(
            f"Norm sqrt(s^T g s) of the step s from this checkpoint to {following}{extent}, in the metric g at this"
            " checkpoint, where the step starts; NaN at the end of the run."
        ),
        reference="arXiv 2502.01739, Eq. 8",
    )
    yield VariableSpec(
        name=f"step_cosine{suffix}",
        bounds=(-1, 1),
        description=(
            f"Cosine s^T g t / (|s| |t|) of the two steps that meet at this checkpoint{extent}, all three factors in"
            f" the metric at this checkpoint; 1 on a straight line; NaN at both ends of the run, and where a step is"
            f" rounding ({_SMALL})."
        ),
        reference="arXiv 2502.01739, Eq. 9",
    )
    yield VariableSpec(
        name=f"turning_angle{suffix}",
        units="rad",
        bounds=(0, 3.141592653589793),
        description=f"Angle arccos(step_cosine{suffix}) between the two steps that meet at this checkpoint{extent}.",
        reference="grokprobe",
    )
    yield VariableSpec(
        name=f"origin_cosine{suffix}",
        bounds=(-1, 1),
        description=(
            f"Cosine of the step that starts at this checkpoint with minus the parameters{extent}, all factors in the"
            " metric at this checkpoint: positive towards the origin, 1 where all weights shrink alike; NaN at the end"
            f" of the run, and where a step is rounding ({_SMALL})."
        ),
        reference="arXiv 2502.01739, App. G",
    )


def _schedule() -> Iterator[VariableSpec]:
    yield VariableSpec(
        name="step_epochs",
        units="epochs",
        bounds=(0, None),
        description="Epochs from this checkpoint to the one where its step ends; NaN at the end of the run.",
        reference="grokprobe",
    )
    yield VariableSpec(
        name="chord_epochs",
        units="epochs",
        bounds=(0, None),
        description="Epochs from the run's first stored checkpoint to this one: 0 where the path starts.",
        reference="grokprobe",
    )


def _chord(num_points: int) -> VariableSpec:
    return VariableSpec(
        name="chord_norm",
        units=METRIC,
        bounds=(0, None),
        description=(
            "Length of the straight segment from the run's first stored checkpoint to this one by the rule of the path:"
            f" the sum of the norms of its {num_points} equal pieces, each in the metric where it starts."
        ),
        reference="grokprobe",
    )


def _diagonal_errors() -> Iterator[VariableSpec]:
    yield VariableSpec(
        name="diagonal_error_norm",
        bounds=(-1, None),
        description=(
            f"Relative error {_DIAGONAL} for the step norm: step norm in the diagonal metric over step_norm, minus 1;"
            " NaN where step_norm is 0 or undefined."
        ),
        reference="grokprobe",
    )
    for name, cosine in (("diagonal_error_cosine", "step_cosine"), ("diagonal_error_origin_cosine", "origin_cosine")):
        yield VariableSpec(
            name=name,
            bounds=(-2, 2),
            description=f"Error {_DIAGONAL} for {cosine}: the cosine in the diagonal metric minus {cosine}.",
            reference="grokprobe",
        )


def _divergences() -> Iterator[VariableSpec]:
    yield VariableSpec(
        name="step_kl",
        units="nat",
        bounds=(0, None),
        description=(
            "Kullback-Leibler divergence KL(p || q), mean over the training samples, of what the network says at the"
            " end of the step (q) from what it says at this checkpoint (p), natural logarithm; NaN at the end of the"
            " run."
        ),
        reference="arXiv 2502.01739, Eq. 16",
    )
    yield VariableSpec(
        name="step_kl_quadratic",
        units="nat",
        bounds=(0, None),
        description=(
            "What step_kl is to second order if the metric is the exact Fisher metric of the training samples:"
            " step_norm^2 / 2; NaN at the end of the run."
        ),
        reference="arXiv 2502.01739, Eq. 16",
    )


def _sensitivity() -> Iterator[VariableSpec]:
    reference = "arXiv 2502.01739, App. G.3"
    at_each = "at each threshold"
    for name, extent, dims in (
        ("stiff_fraction", "of the split that is used", ()),
        ("stiff_fraction_at", at_each, (names.THRESHOLD,)),
    ):
        yield VariableSpec(
            name=name,
            dims=dims,
            bounds=(0, 1),
            description=(
                "Dimension of the stiff subspace over the number of parameters that change along the run, the same at"
                f" every checkpoint of a run; {extent}."
            ),
            reference=reference,
        )
    yield VariableSpec(
        name="step_norm_stiff_at",
        dims=(names.THRESHOLD,),
        units=METRIC,
        bounds=(0, None),
        description=f"step_norm_stiff with the split {at_each}; NaN at the end of the run.",
        reference=reference,
    )
