"""Which rectified units are ever active, gathered batch by batch."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Of each unit, the largest pre-activation and how many samples activate it."""

    #: Number of samples.
    num_samples: int
    #: Largest pre-activation, shape (num_units,); NaN where one is.
    peaks: torch.Tensor
    #: Number of samples whose pre-activation is positive, int64 of shape (num_units,).
    num_active: torch.Tensor

    def merged(self, other: "Activity") -> "Activity":
        """Returns the activity of the same units on the samples of both."""
        return Activity(
            num_samples=self.num_samples + other.num_samples,
            peaks=torch.maximum(self.peaks, other.peaks),
            num_active=self.num_active + other.num_active,
        )

    @property
    def dead_fraction(self) -> float:
        """Share of the units whose pre-activation is never positive; one that is NaN somewhere is not dead."""
        return (self.peaks <= 0).to(torch.float64).mean().item()

    @property
    def active_fraction(self) -> float:
        """Share of all pairs of unit and sample whose pre-activation is positive; NaN if a pre-activation is."""
        if self.peaks.isnan().any():
            return float("nan")
        return (self.num_active.to(torch.float64) / self.num_samples).mean().item()


def compute_activity(units: torch.Tensor) -> Activity:
    """Returns the activity of one batch.

    A ReLU unit whose pre-activation is at most 0 on every sample gives 0 everywhere, and on these samples no gradient
    reaches its weights: it is dead.

    Args:
        units: pre-activations, shape (num_samples, num_units), at least one of each.

    Example:
        >>> activity = compute_activity(torch.tensor([[1.0, -1.0], [-1.0, 0.0]]))
        >>> assert activity.dead_fraction == 0.5 and activity.active_fraction == 0.25
    """
    return Activity(num_samples=len(units), peaks=units.amax(dim=0), num_active=(units > 0).sum(dim=0))
