"""A directory tree, or one file, of anybody's checkpoints turned into runs with coordinates."""

from collections.abc import Callable
from pathlib import Path

from grokprobe.checkpoints.blob_runs import build_blob_run
from grokprobe.checkpoints.converted import build_converted_run, is_converted_run
from grokprobe.checkpoints.grouping import build_run
from grokprobe.checkpoints.layout import Layout
from grokprobe.checkpoints.manifest import MANIFEST_NAME, ManifestChain
from grokprobe.checkpoints.native_runs import build_native_run, is_native_run
from grokprobe.checkpoints.parts import describe_part
from grokprobe.checkpoints.reading import Reading
from grokprobe.checkpoints.runs import Discovery, Run
from grokprobe.checkpoints.sightings import Findings, Sighting, examine
from grokprobe.checkpoints.walk import Directory, Tree, natural_key, walk_tree
from grokprobe.errors import SeveralCheckpointsError
from grokprobe.progress import Progress, SilentProgress


def discover(
    root: Path, *, layout: str | None = None, reading: Reading | None = None, progress: Progress | None = None
) -> Discovery:
    """Finds every run under ``root`` and reads the header of every checkpoint; values are not kept.

    Order of belief for a coordinate: layout, manifest (``grokprobe.toml``), the file's own fields, its name. A native
    run says everything itself: layout and manifests do not apply to it. Without a layout a run is a directory, or the
    directories ``checkpoint-500``, ``step_500``, ``epoch_12`` beside each other.

    Args:
        root: a directory, or one file.
        layout: a pattern as :class:`~grokprobe.checkpoints.layout.Layout` reads it.
        reading: how files are read; in the built-in ways if None.
        progress: hears of every file.

    Returns:
        The runs, and everything else with the reason. No run at all is no error: the caller decides.

    Raises:
        UsageError: nothing at ``root``, no files, a bad layout or manifest, two different checkpoints of one epoch.
    """
    parsed = Layout.parse(layout) if layout is not None else None
    reading = reading or Reading()
    tree = walk_tree(Path(root))
    findings = Findings(skipped=list(tree.irregular), unreadable=list(tree.unreadable))
    runs: list[Run] = []
    groups: dict[Path, list[Sighting]] = {}
    progress = progress or SilentProgress()
    progress.start("reading checkpoints", sum(len(directory.files) for directory in tree.directories))
    try:
        for directory, manifests in _with_manifests(tree):
            build = _own_format(directory.path)
            if build is not None:
                run = build(directory.path, directory.files, findings)
                runs.extend([run] if run else [])
                progress.advance(len(directory.files), str(directory.path))
                continue
            for path in directory.files:
                try:
                    sighting = _examine(path, parsed, manifests, reading, findings)
                except SeveralCheckpointsError:
                    run = build_blob_run(path, parsed.match(path) if parsed else None, manifests, findings)
                    runs.extend([run] if run else [])
                else:
                    if sighting is not None:
                        groups.setdefault(sighting.run_path, []).append(sighting)
                progress.advance(1, str(path))
    finally:
        progress.finish()
    for path, sightings in groups.items():
        run = build_run(path, sightings, reading, findings)
        runs.extend([run] if run else [])
    return _in_order(runs, findings)


def _own_format(directory: Path) -> Callable[[Path, tuple[Path, ...], Findings], Run | None] | None:
    """Returns what builds the run of a directory that says everything itself; None for any other."""
    if is_native_run(directory):
        return build_native_run
    return build_converted_run if is_converted_run(directory) else None


def _examine(
    path: Path, layout: Layout | None, manifests: ManifestChain, reading: Reading, findings: Findings
) -> Sighting | None:
    if path.name == MANIFEST_NAME:
        return None
    if part := describe_part(path):
        findings.skip(path, part)
        return None
    return examine(path, layout, manifests, reading, findings)


def _with_manifests(tree: Tree) -> list[tuple[Directory, ManifestChain]]:
    """Pairs each directory with the manifests from itself up to the root, before any checkpoint is read."""
    chains: dict[Path, ManifestChain] = {}
    pairs: list[tuple[Directory, ManifestChain]] = []
    for directory in tree.directories:  # a directory comes after the one it lies in
        above = chains.get(directory.path.parent, ManifestChain())
        chains[directory.path] = above.below(directory.path)
        pairs.append((directory, chains[directory.path]))
    return pairs


def _in_order(runs: list[Run], findings: Findings) -> Discovery:
    return Discovery(
        runs=tuple(sorted(runs, key=lambda run: natural_key(run.path))),
        skipped=tuple(sorted(findings.skipped, key=lambda file: natural_key(file.path))),
        unreadable=tuple(sorted(findings.unreadable, key=lambda file: natural_key(file.path))),
        refused=tuple(sorted(findings.refused, key=lambda file: natural_key(file.path))),
        warnings=tuple(findings.warnings),
    )
