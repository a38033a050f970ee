"""A run in training and its place in the computation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grokprobe import names
from grokprobe.training.batch import Outcome, RunReport, RunRequest
from grokprobe.training.run_directory import Accuracies, Standing


@dataclass(eq=False, slots=True, kw_only=True)
class Lane:
    """A wanted member of a batch: what is known of it and not written yet."""

    request: RunRequest
    #: Its number among the members of the batch.
    member: int
    standing: Standing
    #: Rows of the history that are not written yet.
    rows: list[dict[str, float]] = field(default_factory=list)
    diverged_at: int | None = None
    accuracies: Accuracies = field(default_factory=Accuracies)

    @property
    def start(self) -> int:
        """The epoch it stands at; −1 before its first."""
        return -1 if self.standing.epoch is None else self.standing.epoch

    @property
    def place(self) -> str:
        """Its name for people."""
        return f"seed {self.request.seed}, init_scale {self.request.init_scale:g}"

    def find_divergence(self, first: int, sums: Sequence[Sequence[float]]) -> int | None:
        """Returns the first epoch whose sum of losses is not finite, else None.

        Args:
            first: epoch of the first row.
            sums: a row for each epoch, with a value for each member.
        """
        return next((first + i for i, row in enumerate(sums) if not math.isfinite(row[self.member])), None)

    def take_row(self, row: Mapping[str, float], has_test: bool) -> bool:
        """Takes a row of the history if its losses are finite, and returns whether they are."""
        losses = [row[names.TRAIN_LOSS], *([row[names.TEST_LOSS]] if has_test else [])]
        if not all(map(math.isfinite, losses)):
            return False
        self.rows.append(dict(row))
        self.accuracies = Accuracies(at_checkpoint=self.accuracies.at_checkpoint, latest=row[names.TEST_ACCURACY])
        return True

    def hand_over_rows(self) -> list[dict[str, float]]:
        """Returns the rows that are not written yet and forgets them."""
        rows, self.rows = self.rows, []
        return rows

    def report(self) -> RunReport:
        """Returns what became of it, once it has ended or pauses."""
        outcome: Outcome = "trained" if self.standing.epoch is None else "resumed"
        trained = max(self.request.stop - max(self.start, 0), 0)
        if self.standing.is_complete:
            outcome, trained = "skipped", 0
        elif self.standing.diverged_at is not None:
            outcome, trained = "diverged", 0
        elif self.diverged_at is not None:
            outcome, trained = "diverged", self.diverged_at - max(self.start, 0)
        return RunReport(
            directory=self.request.directory,
            seed=self.request.seed,
            init_scale=self.request.init_scale,
            outcome=outcome,
            epochs_trained=trained,
            diverged_at=self.diverged_at if self.standing.diverged_at is None else self.standing.diverged_at,
        )
