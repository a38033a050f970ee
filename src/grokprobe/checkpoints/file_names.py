"""Epochs and steps that well-known names of files and directories say."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe.names import EPOCH, STEP

_NUMBER: Final = r"[-_=]?(?P<number>[0-9]{1,18})(?![0-9]|\.[0-9])"
_EPOCH: Final = re.compile(rf"(?<![a-z])epochs?{_NUMBER}", re.IGNORECASE)
_STEP: Final = re.compile(rf"(?<![a-z])(?:global[-_]?)?(?:step|iter|iteration)s?{_NUMBER}", re.IGNORECASE)
_CHECKPOINT: Final = re.compile(rf"(?<![a-z])checkpoint{_NUMBER}", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_SHARD: Final = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPosition:
    """The position that a name says."""

    epoch: int | None = None
    step: int | None = None
    #: Whether the step is only the number after "checkpoint", which some programs count in epochs.
    is_guess: bool = False
    #: The run: the parent directory, or the path with the number blanked if it stands in the directory's name.
    run_path: Path


def read_file_name(path: Path) -> NamedPosition:
    """Returns the position in the name of ``path``, or else of its directory.

    Files: ``epoch-012.pt``, ``epoch12``, ``12.pth``, ``model_step_500``, ``checkpoint-500``, ``epoch=3-step=100.ckpt``.
    Directories, as a whole name: ``checkpoint-500``, ``step_500``, ``epoch_12``. A number after "checkpoint" is
    taken for steps.
    """
    epoch, step, guess = (_number(pattern.search(path.stem)) for pattern in (_EPOCH, _STEP, _CHECKPOINT))
    if epoch is not None or step is not None:
        return NamedPosition(epoch=epoch, step=step, run_path=path.parent)
    if guess is not None:
        return NamedPosition(step=guess, is_guess=True, run_path=path.parent)
    if _DIGITS.fullmatch(path.stem):
        return NamedPosition(epoch=int(path.stem), run_path=path.parent)
    epoch, step, guess = (pattern.fullmatch(path.parent.name) for pattern in (_EPOCH, _STEP, _CHECKPOINT))
    whole = epoch or step or guess
    if whole is None:
        return NamedPosition(run_path=path.parent)
    blanked = f"{path.parent.name[: whole.start('number')]}{{{EPOCH if epoch else STEP}}}"
    return NamedPosition(
        epoch=_number(epoch),
        step=_number(step or guess),
        is_guess=guess is not None,
        run_path=path.parent.parent / blanked / path.name,
    )


def is_shard(path: Path) -> bool:
    """Says whether the name is that of one part of a checkpoint split over files (``…-00001-of-00003``)."""
    return _SHARD.search(path.stem) is not None


def _number(found: re.Match[str] | None) -> int | None:
    return int(found["number"]) if found else None
