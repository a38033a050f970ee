"""Figures to files: what ``grokprobe plot`` does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from grokprobe.errors import StoreWriteError, UsageError
from grokprobe.plots.catalogue import Catalogue, list_figures
from grokprobe.plots.results import read_experiments
from grokprobe.plots.style import ImageFormat, write_figure
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotRequest:
    """What to draw."""

    #: The results store.
    results: Path
    #: Names of figures, families, groups or variables; empty for all.
    figures: tuple[str, ...] = ()
    #: Directory of the files; each experiment has a directory in it.
    out: Path = Path("figures")
    #: ``svg`` or ``png``.
    image_format: ImageFormat = "svg"
    #: Whose own figures there are.
    plugins: PluginSelection = field(default_factory=PluginSelection.from_environment)


class ListedFigure(NamedTuple):
    """One line of the list of figures."""

    #: Name of the experiment.
    experiment: str
    #: Name of the figure, or of the family or variable that gives none.
    figure: str
    #: Whether it can be drawn.
    is_drawn: bool
    #: What it shows, or why it cannot be drawn.
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotReport:
    """What was drawn."""

    #: Files, in the order in which they were written.
    written: tuple[Path, ...]
    #: Experiment and figure → why there is none.
    not_applicable: Mapping[str, str]
    #: Experiment and figure → what went wrong in drawing it.
    failed: Mapping[str, str]


def list_all(request: PlotRequest) -> list[ListedFigure]:
    """Returns every figure of a store, and what gives none and why.

    Raises:
        UsageError: there is no results store, it is empty, or a figure is not known.
        StoreError: its format is newer than this version.
    """
    rows = []
    for name, catalogue in _read(request).items():
        rows += [ListedFigure(name, figure.name, True, figure.caption) for figure in catalogue.figures.values()]
        rows += [ListedFigure(name, figure, False, why) for figure, why in catalogue.not_applicable.items()]
    return rows


def carry_out(request: PlotRequest, progress: Progress | None = None) -> PlotReport:
    """Draws figures into files. One that cannot be drawn costs itself and not the others.

    Raises:
        UsageError: there is no results store, it is empty, or a figure is not known.
        StoreError: its format is newer than this version.
        StoreWriteError: a file cannot be written.
    """
    progress = progress or SilentProgress()
    catalogues = _read(request)
    written: list[Path] = []
    failed: dict[str, str] = {}
    progress.start("drawing", sum(len(catalogue.figures) for catalogue in catalogues.values()))
    try:
        for name, catalogue in catalogues.items():
            for figure in catalogue.figures.values():
                progress.advance(note=figure.name)
                path = request.out / name / f"{_file_name(figure.name)}.{request.image_format}"
                try:
                    write_figure(figure.draw(), path)
                    written.append(path)
                except StoreWriteError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a drawing function
                    failed[f"{name} {figure.name}"] = f"{type(error).__name__}: {error}"
    finally:
        progress.finish()
    reasons = {f"{name} {figure}": why for name, c in catalogues.items() for figure, why in c.not_applicable.items()}
    return PlotReport(written=tuple(written), not_applicable=reasons, failed=failed)


def _file_name(figure: str) -> str:
    return figure.replace("/", ".").replace(":", ".")


def _read(request: PlotRequest) -> dict[str, Catalogue]:
    experiments = read_experiments(request.results)
    if not experiments:
        raise UsageError(f"{request.results} holds no experiment yet; grokprobe analyze adds one")
    plugins = load_plugins(request.plugins)
    catalogues = {results.name: list_figures(results, plugins) for results in experiments}
    if not request.figures:
        return {name: catalogue.without_copies() for name, catalogue in catalogues.items()}
    chosen, faults = {}, []
    for name, catalogue in catalogues.items():
        known = [figure for figure in request.figures if catalogue.knows(figure)]
        if known:
            chosen[name] = catalogue.choose(known)
        faults.append(set(request.figures) - set(known))
    if unknown := set.intersection(*faults):
        raise UsageError(next(iter(catalogues.values())).explain_unknown(min(unknown)))
    return chosen
