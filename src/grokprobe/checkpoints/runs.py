"""What discovery finds: runs with coordinates, and everything that is no part of one, with the reason."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokprobe.markup import render_block, shorten_path


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRef:
    """Where one checkpoint lies and where it stands in its run."""

    path: Path
    #: Position in the run, in :attr:`Run.epoch_units`.
    epoch: int
    #: Optimizer steps, where the file or its name says them too.
    step: int | None
    #: Bytes.
    size: int
    #: Time of the last change, nanoseconds.
    modified_ns: int
    #: Why it cannot be read although its epoch is known; empty if it can.
    problem: str = ""
    #: Whether the problem is that reading would be unsafe.
    refused: bool = False
    #: Its name within a file that holds a whole run; empty if the file is this one checkpoint.
    member: str = ""
    #: Further files it consists of (shards); empty for a checkpoint of one file.
    parts: tuple[Path, ...] = ()
    #: Name and version of the reader of a plugin that reads it; empty if it is a built-in one.
    reader: str = ""

    def digest(self, file_digest: Callable[[Path], str]) -> str:
        """Returns what tells this checkpoint from any other: digests of its files, its name in one, and its reader.

        Args:
            file_digest: of a file by its path.
        """
        digest = ",".join(file_digest(path) for path in (self.path, *self.parts))
        digest += f"#{self.member}" if self.member else ""
        return f"{digest} {self.reader}" if self.reader else digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Checkpoints of one training run, at least one of them readable."""

    #: The run's directory; where one directory does not tell runs apart, the path with ``{epoch}`` for the epoch.
    path: Path
    #: None if nobody says it.
    seed: int | None
    #: None if nobody says it.
    init_scale: float | None
    #: Name of the recipe, of a native run only.
    recipe: str | None
    #: What identifies the experiment: the tables ``task``, ``model``, ``optimizer``, and ``run`` for further fields of
    #: the layout or manifest. A table that nobody gives is absent.
    parameters: Mapping[str, Mapping[str, Any]]
    #: ``"seed:N"``, ``"all"``, ``"indices:FILE"`` or ``"stored:FILE"`` (absolute), or None if nobody says it.
    split: str | None
    #: In ascending order of epoch, no two of one epoch.
    checkpoints: tuple[CheckpointRef, ...]
    #: Shapes of the floating-point tensors of the first readable checkpoint.
    shapes: Mapping[str, tuple[int, ...]]
    #: ``"epochs"`` or ``"steps"``: what :attr:`CheckpointRef.epoch` counts.
    epoch_units: str
    #: Who said each coordinate: ``layout``, ``manifest``, ``file``, ``file name``, ``native``; several with commas.
    sources: Mapping[str, str]
    #: Whether grokprobe wrote it.
    is_native: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFile:
    """A file that is no part of any run."""

    path: Path
    #: One line, without the path.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """Everything found under one root."""

    #: In natural order of path.
    runs: tuple[Run, ...]
    #: No checkpoints, or checkpoints whose epoch nobody says: no failure.
    skipped: tuple[SkippedFile, ...]
    #: Damaged files that could not be placed in a run.
    unreadable: tuple[SkippedFile, ...]
    #: Files refused as unsafe that could not be placed in a run.
    refused: tuple[SkippedFile, ...]
    #: Contradictions and how they were settled.
    warnings: tuple[str, ...]

    def _repr_html_(self) -> str:
        rows = [
            (
                shorten_path(run.path),
                "unknown" if run.seed is None else run.seed,
                "unknown" if run.init_scale is None else f"{run.init_scale:g}",
                f"{run.checkpoints[0].epoch} to {run.checkpoints[-1].epoch} {run.epoch_units}",
                len(run.checkpoints),
            )
            for run in self.runs
        ]
        labelled = (("skipped", self.skipped), ("damaged", self.unreadable), ("refused", self.refused))
        counts = Counter((label, file.reason) for label, files in labelled for file in files)
        lines = [f"{label} ({number}): {reason}" for (label, reason), number in counts.items()]
        return render_block(
            f"Runs: {len(self.runs)}, checkpoints: {sum(len(run.checkpoints) for run in self.runs)}",
            header=("run", "seed", "init_scale", "positions", "checkpoints"),
            rows=rows,
            lines=[*lines, *self.warnings],
        )
