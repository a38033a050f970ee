"""Any readable checkpoints written again as runs of safetensors files, which hold nothing that could be executed."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe.atomic import write_atomically
from grokprobe.checkpoints.blob_data import read_stored_parts
from grokprobe.checkpoints.converted import (
    LOG_FILE,
    SAMPLES_FILE,
    SPLIT_FILE,
    ConvertedManifest,
    write_converted_manifest,
)
from grokprobe.checkpoints.discovery import discover
from grokprobe.checkpoints.native import checkpoint_path, write_tensors
from grokprobe.checkpoints.reading import CheckpointContent, Reading
from grokprobe.checkpoints.runs import CheckpointRef, Discovery, Run
from grokprobe.checkpoints.safetensors_files import METADATA_KEY, ORDER_KEY, TYPES
from grokprobe.checkpoints.tensor_writing import stream_tensors
from grokprobe.checkpoints.torch_reading import read_blob
from grokprobe.errors import CheckpointError, UsageError, reporting_write_errors
from grokprobe.progress import Progress, SilentProgress

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._=+@:\[\]-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedRun:
    """One run as it was written."""

    #: Its new directory.
    directory: Path
    #: Where it was found.
    origin: Path
    #: Number of checkpoints written.
    num_checkpoints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """What came of a conversion."""

    #: In the order in which the runs were found.
    runs: tuple[ConvertedRun, ...]
    #: What was found.
    discovery: Discovery
    #: What could not be represented and was left out.
    notices: tuple[str, ...]
    #: Checkpoints that could not be read: one line each.
    failures: tuple[str, ...]


def convert(
    root: Path,
    out: Path,
    *,
    layout: str | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Writes every run under ``root`` to a directory of its own below ``out``; one tensor is in memory at a time.

    Parameters keep their names, types and bits. Tensors of other types are left out and said.

    Args:
        root: as for :func:`~grokprobe.checkpoints.discover`.
        out: a directory that is not there yet, or empty.
        layout: as for ``discover``.
        reading: as for ``discover``.
        progress: hears of every checkpoint.

    Raises:
        UsageError: ``out`` is not empty, or a run is one of ``grokprobe train`` already.
        StoreWriteError: writing failed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"expected a new or empty directory to write to, found {out} in use; choose another")
    progress = progress or SilentProgress()
    found = discover(root, layout=layout, reading=reading, progress=progress)
    native = [run for run in found.runs if run.is_native]
    if native:
        raise UsageError(f"{native[0].path}: a run of grokprobe train is in safetensors files already; copy it")
    writing = _Writing(root.absolute(), out, reading or Reading())
    progress.start("writing checkpoints", sum(len(run.checkpoints) for run in found.runs))
    try:
        with reporting_write_errors(out):
            runs = [writing.write(run, progress) for run in found.runs]
    finally:
        progress.finish()
    return ConversionReport(
        runs=tuple(run for run in runs if run.num_checkpoints),
        discovery=found,
        notices=tuple(dict.fromkeys(writing.notices)),
        failures=tuple(writing.failures),
    )


class _Writing:
    """The state of one conversion."""

    def __init__(self, root: Path, out: Path, reading: Reading) -> None:
        self.notices: list[str] = []
        self.failures: list[str] = []
        self._root, self._out, self._reading = root, out, reading
        self._taken: set[Path] = set()

    def write(self, run: Run, progress: Progress) -> ConvertedRun:
        directory = self._place(run.path)
        num_written = 0
        for checkpoint in run.checkpoints:
            num_written += self._write_checkpoint(checkpoint, directory, run.epoch_units)
            progress.advance(1, str(checkpoint.path))
        if num_written:
            self._write_log(run, directory)
            manifest = ConvertedManifest(
                origin=self._relative(run.path),
                seed=run.seed,
                init_scale=run.init_scale,
                parameters={name: dict(table) for name, table in run.parameters.items()},
                split=self._write_split(run, directory),
                epoch_units="steps" if run.epoch_units == "steps" else "epochs",
            )
            write_converted_manifest(directory, manifest)  # last: without it the directory is no run
        return ConvertedRun(directory=directory, origin=run.path, num_checkpoints=num_written)

    def _write_checkpoint(self, checkpoint: CheckpointRef, directory: Path, units: str) -> bool:
        where = f"{checkpoint.path}{f' ({checkpoint.member})' if checkpoint.member else ''}"
        if checkpoint.problem:
            self.failures.append(f"{where}: {checkpoint.problem}")
            return False
        try:
            content = self._reading.read(checkpoint.path, checkpoint.member)
            if fault := _find_unwritable(content):
                self.failures.append(f"{where}: {fault}")
                return False
            directory.mkdir(parents=True, exist_ok=True)
            metadata = {units[:-1]: str(checkpoint.epoch), ORDER_KEY: json.dumps(list(content.parameters))}
            stream_tensors(checkpoint_path(directory, checkpoint.epoch), content.parameters, metadata)
        except CheckpointError as error:
            self.failures.append(str(error))
            return False
        if content.other_tensors:
            names = ", ".join(content.other_tensors[:6])
            self.notices.append(f"{checkpoint.path}: tensors of no floating-point numbers are left out: {names}")
        return True

    def _write_split(self, run: Run, directory: Path) -> str | None:
        kind, _, name = (run.split or "").partition(":")
        if kind == "indices":
            self._copy_indices(Path(name), directory)
            return f"indices:{SPLIT_FILE}"
        if kind != "stored":
            return run.split
        train, test = read_stored_parts(Path(name))
        if train.indices is not None and test.indices is not None:
            _write_json(directory / SPLIT_FILE, {"train": train.indices.tolist(), "test": test.indices.tolist()})
            return f"indices:{SPLIT_FILE}"
        samples: dict[str, torch.Tensor] = {}
        for title, part in (("train", train), ("test", test)):
            if part.inputs is not None and part.targets is not None:
                samples |= {f"{title}_inputs": part.inputs, f"{title}_targets": part.targets}
        write_tensors(directory / SAMPLES_FILE, samples, {})
        return f"stored:{SAMPLES_FILE}"

    def _copy_indices(self, path: Path, directory: Path) -> None:
        try:
            content: Any = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: expected the indices of a split as JSON, found {error}") from error
        _write_json(directory / SPLIT_FILE, content)

    def _write_log(self, run: Run, directory: Path) -> None:
        blob = read_blob(run.path) if run.path.is_file() else None
        if blob is not None and blob.logged:
            _write_json(directory / LOG_FILE, blob.logged)

    def _place(self, path: Path) -> Path:
        """Returns a directory below the output that is like the run's path and no other run's."""
        parts = [_UNFIT.sub("_", part).lstrip(".") or "_" for part in Path(self._relative(path)).parts]
        place = self._out.joinpath(*parts)
        names = itertools.chain([place.name], (f"{place.name}-{k}" for k in itertools.count(2)))
        place = next(place.with_name(name) for name in names if place.with_name(name) not in self._taken)
        self._taken.add(place)
        return place

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path != self._root and self._root in path.parents else path.name


def _find_unwritable(content: CheckpointContent) -> str:
    """Returns what a safetensors file cannot hold; empty if it can hold everything."""
    if METADATA_KEY in content.parameters:
        return f"a parameter is called {METADATA_KEY}, a name that safetensors does not allow"
    odd = next((name for name, dtype in content.types.items() if dtype not in TYPES.values()), None)
    return "" if odd is None else f"{odd} is of {content.types[odd]}, a type that safetensors does not have"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(content).encode())
