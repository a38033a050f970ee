"""One file as discovery sees it: its header, and what each source says about its position."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from grokprobe.checkpoints.companions import describe_companion
from grokprobe.checkpoints.file_names import NamedPosition, is_shard, read_file_name
from grokprobe.checkpoints.layout import Layout, LayoutMatch
from grokprobe.checkpoints.manifest import ManifestChain
from grokprobe.checkpoints.reading import Reading
from grokprobe.checkpoints.runs import CheckpointRef, SkippedFile
from grokprobe.errors import CheckpointError, NotACheckpointError, SeveralCheckpointsError, UnsafeCheckpointError
from grokprobe.names import EPOCH, STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says about itself, without its values."""

    shapes: Mapping[str, tuple[int, ...]]
    epoch: int | None
    step: int | None
    #: Further files it consists of.
    parts: tuple[Path, ...] = ()
    #: The reader of a plugin that has read it; empty if it was a built-in one.
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A coordinate after all sources were heard."""

    value: Any
    #: The source that is believed.
    source: str
    #: The first source that says otherwise, with its value; None if they agree.
    conflict: tuple[str, Any] | None


#: Suffixes by which people call checkpoints; they decide about empty files only.
CHECKPOINT_SUFFIXES: Final = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """Size, time and readability of a file."""

    path: Path
    size: int
    modified_ns: int
    #: None if the file cannot be read.
    header: Header | None
    #: Why it cannot be read; empty if it can.
    problem: str = ""
    #: Whether reading it would be unsafe.
    refused: bool = False

    def reference(self, epoch: int, step: int | None) -> CheckpointRef:
        """Returns the file as the checkpoint of a run."""
        return CheckpointRef(
            path=self.path,
            epoch=epoch,
            step=step,
            size=self.size,
            modified_ns=self.modified_ns,
            problem=self.problem,
            refused=self.refused,
            parts=self.header.parts if self.header else (),
            reader=self.header.reader if self.header else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A checkpoint, or what would be one if it could be read."""

    state: FileState
    #: The run it belongs to.
    run_path: Path
    #: What the layout reads in the path; None without a layout.
    match: LayoutMatch | None
    manifests: ManifestChain
    epoch: Settled | None
    step: Settled | None

    def position(self, units: str) -> Settled | None:
        """Returns the position in ``units`` (``"epochs"`` or ``"steps"``)."""
        return self.epoch if units == "epochs" else self.step


@dataclass(slots=True)
class Findings:
    """The growing lists of what is no part of a run."""

    skipped: list[SkippedFile] = field(default_factory=list)
    unreadable: list[SkippedFile] = field(default_factory=list)
    refused: list[SkippedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def skip(self, path: Path, reason: str) -> None:
        """Notes a file that is no part of a run, and why."""
        self.skipped.append(SkippedFile(path=path, reason=reason))

    def leave_out(self, state: FileState) -> None:
        """Notes a file that cannot be read and has no place in a run.

        An empty file has no content to go by: one not named like a checkpoint, such as a log, was never one.
        """
        if state.size == 0 and state.path.suffix not in CHECKPOINT_SUFFIXES:
            self.skip(state.path, state.problem)
            return
        (self.refused if state.refused else self.unreadable).append(SkippedFile(path=state.path, reason=state.problem))


def settle(*claims: tuple[str, Any]) -> Settled | None:
    """Returns the first claim ``(source, value)`` that has a value, and the first later one that contradicts it."""
    heard = [(source, value) for source, value in claims if value is not None]
    if not heard:
        return None
    (source, value), *later = heard
    return Settled(value=value, source=source, conflict=next((claim for claim in later if claim[1] != value), None))


def inspect_file(path: Path, reading: Reading) -> FileState:
    """Reads the header of ``path`` and no tensor.

    Raises:
        NotACheckpointError: as :func:`~grokprobe.checkpoints.reading.read_checkpoint`.
    """
    try:
        status = path.stat()
    except OSError as error:
        return FileState(path=path, size=0, modified_ns=0, header=None, problem=f"cannot be opened: {error.strerror}")
    header, problem, refused = None, "", False
    try:
        content = reading.read(path)
        header = Header(
            shapes=content.shapes,
            epoch=content.epoch,
            step=content.step,
            parts=content.parts,
            reader=content.reader,
        )
    except NotACheckpointError:
        raise
    except CheckpointError as error:
        problem, refused = reason_of(error, path), isinstance(error, UnsafeCheckpointError)
    return FileState(
        path=path,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        header=header,
        problem=problem,
        refused=refused,
    )


def reason_of(error: CheckpointError, path: Path) -> str:
    """Returns the message of ``error`` without the path it begins with."""
    return str(error).removeprefix(f"{path}: ")


def examine(
    path: Path, layout: Layout | None, manifests: ManifestChain, reading: Reading, findings: Findings
) -> Sighting | None:
    """Returns what is seen of ``path``; None, with a note in ``findings``, if it is no part of any run.

    Raises:
        SeveralCheckpointsError: it holds a whole run.
    """
    match = layout.match(path) if layout is not None else None
    if layout is not None and match is None:
        findings.skip(path, f"does not match the layout {layout.pattern}")
        return None
    if is_shard(path):
        findings.skip(path, "one part of a checkpoint split over several files, without the index that says which")
        return None
    try:
        state = inspect_file(path, reading)
    except SeveralCheckpointsError:
        raise
    except NotACheckpointError as error:
        findings.skip(path, describe_companion(path) or reason_of(error, path))
        return None
    if state.refused and (companion := describe_companion(path)):
        findings.skip(path, companion)
        return None
    named = read_file_name(path)
    use_name = layout is None or not layout.says_position
    epoch, step = _locate(state, match, manifests, named if use_name else None)
    if layout is not None and STEP in layout.fields and EPOCH not in layout.fields:
        epoch = None  # the run counts steps: an epoch within the file is another count
    run_path = match.run_path if match is not None else named.run_path
    return Sighting(state=state, run_path=run_path, match=match, manifests=manifests, epoch=epoch, step=step)


def _locate(
    state: FileState, match: LayoutMatch | None, manifests: ManifestChain, named: NamedPosition | None
) -> tuple[Settled | None, Settled | None]:
    header = state.header
    epoch = settle(
        ("layout", match.epoch if match else None),
        ("manifest", manifests.epoch(state.path)),
        ("file", header.epoch if header else None),
        ("file name", named.epoch if named else None),
    )
    is_heard = named is not None and not (named.is_guess and epoch is not None)
    step = settle(
        ("layout", match.step if match else None),
        ("file", header.step if header else None),
        ("file name", named.step if named is not None and is_heard else None),
    )
    return epoch, step
