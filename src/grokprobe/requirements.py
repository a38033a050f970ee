"""What a measure needs, and whether it applies."""

from dataclasses import dataclass
from enum import StrEnum


class Requirement(StrEnum):
    """What a measure needs beyond the weights of the checkpoint itself."""

    WEIGHTS = "weights"
    MODEL = "model"
    TRAIN_SPLIT = "train split"
    TEST_SPLIT = "test split"
    NEIGHBOURS = "neighbours"
    INITIAL = "initial checkpoint"
    FINAL = "final checkpoint"
    OTHER_RUN = "another run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicability:
    """Whether a measure applies to a subject, decided before anything runs."""

    #: Why it does not apply; empty where it does.
    reason: str = ""
    #: What a user should know although it applies, such as a tensor left out and why.
    notices: tuple[str, ...] = ()
