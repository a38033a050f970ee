"""The page: everything put together, and written as one file."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2

from grokprobe.atomic import write_atomically
from grokprobe.errors import UsageError, reporting_write_errors
from grokprobe.overview import describe_results
from grokprobe.plots.labels import scale_label
from grokprobe.plots.results import ExperimentResults, read_experiments
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress
from grokprobe.report.evidence import Evidence
from grokprobe.report.failures import FailureNote, collect_failures, collect_warnings
from grokprobe.report.pictures import MAX_TOTAL_BYTES, Gallery, draw_gallery
from grokprobe.report.provenance import GroupProvenance, build_commands, describe_groups, flatten_parameters
from grokprobe.report.slider import build_slider
from grokprobe.report.verdicts import Verdict, judge_runs, summarise_verdicts
from grokprobe.report.wording import say_number
from grokprobe.version import __version__

#: Of more runs the definitions stand once, below the verdicts.
MAX_DEFINED: Final = 24
_SOURCES: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSection:
    """What the page says about one experiment."""

    #: Name in the store.
    name: str
    #: One sentence about all runs.
    summary: str
    #: One for each run.
    verdicts: tuple[Verdict, ...]
    #: Place of a number → its definition, where there are too many runs to say it at each; else empty.
    definitions: dict[str, Evidence]
    #: Its figures.
    gallery: Gallery
    #: Its groups.
    groups: tuple[GroupProvenance, ...]
    #: Parameters of task, network and optimizer.
    parameters: dict[str, str]
    #: Version of the task, digest of the parameters, unit of epochs.
    attributes: dict[str, str]
    #: What failed.
    failures: tuple[FailureNote, ...]
    #: What else should be known.
    warnings: tuple[str, ...]
    #: How to get the same again.
    commands: tuple[str, ...]


def build_report(
    results: str | Path, progress: Progress | None = None, *, plugins: PluginSelection | None = None
) -> str:
    """Returns the page about a results store: with equal plugins, equal stores give equal pages.

    Args:
        results: the store.
        progress: listener.
        plugins: whose own figures are shown; by default the installed ones and those of ``GROKPROBE_PLUGINS``.

    Raises:
        UsageError: there is no results store at ``results``, or it is empty.
        StoreError: its format is newer than this version.
    """
    store, progress = Path(results), progress or SilentProgress()
    experiments = read_experiments(store)
    if not experiments:
        raise UsageError(f"{store} holds no experiment yet; grokprobe analyze adds one")
    loaded = load_plugins(plugins or PluginSelection.from_environment())
    overviews = {overview.name: overview for overview in describe_results(store)}
    progress.start("report", len(experiments) + 1)
    try:
        sections = []
        for experiment in experiments:
            progress.advance(note=experiment.name)
            experiment.load_small()
            groups = describe_groups(experiment, overviews[experiment.name])
            gallery = draw_gallery(experiment, loaded, MAX_TOTAL_BYTES // len(experiments))
            sections.append(_build_section(store, experiment, groups, gallery))
        progress.advance(note="numbers of every epoch")
        slider = build_slider(experiments)
    finally:
        progress.finish()
    script = (_SOURCES / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_SOURCES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": say_number, "scale": scale_label}
    return environment.get_template("report.html.j2").render(
        name=store.name,
        version=__version__,
        sections=sections,
        slider=slider,
        index=_inert(slider.index),
        script=script,
        style=(_SOURCES / "report.css").read_text(encoding="utf-8"),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def write_report(
    results: str | Path,
    out: str | Path = "report.html",
    progress: Progress | None = None,
    *,
    plugins: PluginSelection | None = None,
) -> Path:
    """Writes the page about a results store, as :func:`build_report` returns it, and returns where it is.

    Raises:
        UsageError: there is no results store at ``results``, or it is empty.
        StoreError: its format is newer than this version.
        StoreWriteError: the page cannot be written.
    """
    path = Path(out)
    with reporting_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    page = build_report(results, progress, plugins=plugins)
    with reporting_write_errors(path):
        write_atomically(path, page.encode("utf-8"))
    return path


def _build_section(
    store: Path, experiment: ExperimentResults, groups: tuple[GroupProvenance, ...], gallery: Gallery
) -> ExperimentSection:
    verdicts = judge_runs(experiment)
    hidden = {"parameters", "constant", "experiment"}
    return ExperimentSection(
        name=experiment.name,
        summary=summarise_verdicts(verdicts),
        verdicts=verdicts,
        definitions={} if len(verdicts) <= MAX_DEFINED else {e.place: e for v in verdicts for e in v.evidence},
        gallery=gallery,
        groups=groups,
        parameters=flatten_parameters(experiment.attributes),
        attributes={key: str(value) for key, value in experiment.attributes.items() if key not in hidden},
        failures=collect_failures(store, experiment),
        warnings=collect_warnings(experiment),
        commands=build_commands(experiment, store),
    )


def _inert(text: str) -> str:
    """Returns JSON that no browser takes for markup, whatever names a store holds."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
