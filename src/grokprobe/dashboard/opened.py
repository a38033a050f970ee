"""A results store as it was published when it was opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.plots import Catalogue, ExperimentResults, list_figures, read_experiments
from grokprobe.plugins import Plugins
from grokprobe.report.evidence import Run, list_headlines
from grokprobe.report.failures import FailureNote, collect_failures, collect_warnings
from grokprobe.report.panels import EpochPanel, plan_panels
from grokprobe.report.slider import MAX_PANELS
from grokprobe.report.verdicts import list_runs
from grokprobe.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A number that is shown as text at every epoch."""

    #: Path of its group below the experiment.
    path: str
    #: The variable.
    name: str
    #: Its layer; empty for none.
    select: Mapping[str, str]

    @property
    def label(self) -> str:
        """``probes/fourier/ipr_mean[input_a]``."""
        layers = f"[{', '.join(self.select.values())}]" if self.select else ""
        return f"{self.path}/{self.name}{layers}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedExperiment:
    """One experiment: what can be chosen, and what there is to show."""

    #: Its groups, read from disk when they are used.
    results: ExperimentResults
    #: Runs of which anything was tried.
    runs: tuple[Run, ...]
    #: Epochs at which anything was measured; of a store with a history alone, its epochs.
    epochs: tuple[int, ...]
    #: Panels that move with the epoch, those of the report.
    panels: tuple[EpochPanel, ...]
    #: Titles of those beyond the first 12.
    left_out: tuple[str, ...]
    #: Numbers that move with the epoch.
    headlines: tuple[Headline, ...]
    #: The figures of ``grokprobe plot``.
    figures: Catalogue
    #: What failed.
    failures: tuple[FailureNote, ...]
    #: What else should be known.
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStore:
    """A store."""

    #: Path or URL.
    path: Path
    #: By name.
    experiments: Mapping[str, OpenedExperiment]
    #: The plugins whose own figures are shown.
    plugins: Plugins


def open_store(path: Path, plugins: Plugins) -> OpenedStore:
    """Opens a store: reads which results there are, and of the results themselves the small ones alone.

    Raises:
        UsageError: there is no results store at ``path``, or it is empty.
        StoreError: its format is newer than this version, or it cannot be reached.
    """
    experiments = read_experiments(path)
    if not experiments:
        raise UsageError(f"{path} holds no experiment yet; grokprobe analyze adds one")
    opened = {results.name: _open(path, results, plugins) for results in experiments}
    return OpenedStore(path=path, experiments=opened, plugins=plugins)


def _open(path: Path, results: ExperimentResults, plugins: Plugins) -> OpenedExperiment:
    planned = tuple(plan_panels(results, max_neurons=10_000))
    headlines = tuple(
        Headline(path=group, name=name, select=select)
        for group, name, select in list_headlines(results)
        if names.EPOCH in results.groups[group][name].dims
    )
    return OpenedExperiment(
        results=results,
        runs=tuple(list_runs(results)),
        epochs=_list_epochs(results),
        panels=planned[:MAX_PANELS],
        left_out=tuple(panel.title for panel in planned[MAX_PANELS:]),
        headlines=headlines,
        figures=list_figures(results, plugins),
        failures=collect_failures(path, results),
        warnings=collect_warnings(results),
    )


def _list_epochs(results: ExperimentResults) -> tuple[int, ...]:
    by_group = {}
    for path, group in results.groups.items():
        if names.EPOCH in group.dims and names.STATUS in group:
            is_measured = (group[names.STATUS].load() == int(Status.OK)).any(list(names.SUMMARY_DIMS))
            by_group[path] = set(group[names.EPOCH].to_numpy()[is_measured.to_numpy()].tolist())
    history = by_group.pop(names.HISTORY, set())
    return tuple(sorted(set().union(*by_group.values()) or history))
