"""What can be wrong with a store, said as a user thinks: a variable of a group, at some epochs of a run."""

from dataclasses import dataclass
from enum import Enum


class Part(Enum):
    """What of a store is faulty; it decides how it is mended."""

    #: Results: they are measured again.
    CELL = "cell"
    #: Coordinates, without which nothing of the group can be read: the whole group is measured again.
    GROUP = "group"
    #: Metadata, of which the published copy is whole or which have not been published.
    METADATA = "metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it was written."""

    #: Path of the group.
    group: str
    #: Name of the variable or coordinate; empty for the group itself.
    variable: str = ""
    #: The run; None where all are concerned.
    seed: int | None = None
    init_scale: float | None = None
    #: The epochs concerned; empty where all are, and in a group without epochs.
    epochs: tuple[int, ...] = ()
    #: What is faulty.
    part: Part = Part.CELL
    #: What was expected and found.
    reason: str

    def __str__(self) -> str:
        words = [self.group, self.variable]
        if self.seed is not None:
            words.append(f"seed {self.seed} init_scale {self.init_scale:g}")
        if self.epochs:
            words.append(f"epoch{'s' * (len(self.epochs) > 1)} {_ranges(self.epochs)}")
        return f"{' '.join(filter(None, words))}: {self.reason}"


def _ranges(epochs: tuple[int, ...]) -> str:
    """Returns sorted epochs in few words: ``0-31``, ``0 … 310 (32)``."""
    first, last = epochs[0], epochs[-1]
    if len(epochs) <= 2:
        return ", ".join(map(str, epochs))
    return f"{first}-{last}" if last - first == len(epochs) - 1 else f"{first} … {last} ({len(epochs)})"
