"""``grokprobe.toml``: what a user says about checkpoints that do not say it themselves.

    seed = 3
    init_scale = 0.1
    split = "indices:split.json"
    [task]
    name = "modular_addition"
    p = 23
    [epochs]
    "final.pth" = 10000

It applies to the files of its directory and below. Where several apply, the nearest that says a thing is believed;
tables count as one thing.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grokprobe.errors import UsageError

MANIFEST_NAME: Final = "grokprobe.toml"
#: Kinds of a split that name a file.
FILE_SPLITS: Final = ("indices", "stored")


class Manifest(BaseModel):
    """Contents of a ``grokprobe.toml``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: Annotated[int, Field(ge=0)] | None = None
    init_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    #: How the data were split: ``seed:N``, ``all``, ``indices:FILE`` or ``stored:FILE``, FILE relative to the manifest.
    split: Annotated[str, Field(pattern=r"^(seed:[0-9]+|all|indices:.+|stored:.+)$")] | None = None
    #: Parameters of the experiment, as in a recipe.
    task: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    optimizer: dict[str, Any] | None = None
    #: Further fields that tell experiments apart.
    run: dict[str, Any] | None = None
    #: Epoch by file: a name, or a path relative to the manifest.
    epochs: dict[str, Annotated[int, Field(ge=0)]] | None = None


class ManifestChain:
    """The manifests that apply to one directory, nearest first."""

    def __init__(self, manifests: tuple[tuple[Path, Manifest], ...] = ()) -> None:
        self._manifests = manifests

    def below(self, directory: Path) -> "ManifestChain":
        """Returns the chain for ``directory``.

        Raises:
            UsageError: its manifest is not valid; the message names every fault.
        """
        path = directory / MANIFEST_NAME
        if not path.is_file():
            return self
        return ManifestChain(((directory, read_manifest_file(path)), *self._manifests))

    def says(self, name: str) -> Any:
        """Returns what the nearest manifest that says ``name`` says; None if none does."""
        for directory, manifest in self._manifests:
            value = getattr(manifest, name)
            if value is not None:
                return _anchored(value, directory) if name == "split" else value
        return None

    def epoch(self, path: Path) -> int | None:
        """Returns the epoch that the nearest manifest which lists the file ``path`` gives it."""
        for directory, manifest in self._manifests:
            table = manifest.epochs or {}
            for key in (path.relative_to(directory).as_posix(), path.name):
                if key in table:
                    return table[key]
        return None


def read_manifest_file(path: Path) -> Manifest:
    """Reads one manifest.

    Raises:
        UsageError: it cannot be read or is not valid; the message names every fault with its place.
    """
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:  # before ValueError, which it is too
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"{path}: expected a manifest of checkpoints, found {faults}") from error
    except ValueError as error:  # TOML syntax, or not UTF-8
        raise UsageError(f"{path}: expected TOML, found {error}") from error


def _anchored(split: str, directory: Path) -> str:
    kind, _, name = split.partition(":")
    return f"{kind}:{directory / name}" if kind in FILE_SPLITS else split
