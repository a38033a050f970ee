"""Options that every metric has beside its own."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from grokprobe.numerics.stiffness import StiffRule


class TrajectoryOptions(BaseModel):
    """Options that every metric has beside its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: A step joins checkpoints that are this many stored ones apart.
    stride: int = Field(default=1, ge=1)
    #: Equal pieces that the chord is measured in, each in the metric at its start; 0 for no chord and no straightness.
    chord_points: int = Field(default=8, ge=0)
    #: Whether to store the error of the metric's diagonal approximation, where the program knows that approximation.
    diagonal_error: bool = True
    #: Whether to store the divergence of a step on the training split, and what it is to second order in the metric.
    divergence: bool = False
    #: Whether to store norms and cosines in the stiff and the sloppy subspace; needs a model and the training split.
    subspaces: bool = False
    #: What the subspaces are spanned by: single parameters, or eigenvectors (small networks only).
    stiff_basis: Literal["parameters", "eigenvectors"] = "parameters"
    #: Stiff is what has a stiffness of at least the threshold, of the threshold times the largest, or above the widest
    #: gap. The stiffness is the entry of the diagonal (or the eigenvalue) of the regression Fisher matrix at the run's
    #: last checkpoint, over the training split.
    stiff_rule: StiffRule = "absolute"
    #: The threshold; without meaning for the gap.
    stiff_threshold: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    #: Further thresholds to see how much the split depends on it, absolute unless the rule is relative.
    thresholds: tuple[PositiveFloat, ...] = Field(default=(0.001, 0.01, 0.1, 1.0), min_length=1)
