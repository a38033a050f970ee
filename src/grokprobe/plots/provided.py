"""Figures that plugins bring."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.errors import PluginError
from grokprobe.interfaces import ResultsFigure
from grokprobe.plots.families import FAMILIES, PlannedFigure
from grokprobe.plots.measured import select_values
from grokprobe.plots.results import ExperimentResults
from grokprobe.plots.style import using_style
from grokprobe.plugins import FIGURES, Plugins, Provided

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def list_provided(plugins: Plugins) -> dict[str, Provided]:
    """Returns the figures of plugins by name.

    One that shares its name with another plugin's, or with a family, goes by ``DISTRIBUTION:NAME``. A name is otherwise
    never changed.
    """
    found = [entry for entry in plugins.provided if entry.kind == FIGURES]
    claims = Counter([entry.name for entry in found] + [family.name for family in FAMILIES])
    return {full_name(entry) if claims[entry.name] > 1 else entry.name: entry for entry in found}


def full_name(entry: Provided) -> str:
    """Returns ``DISTRIBUTION:NAME``."""
    return f"{entry.plugin.distribution}:{entry.name}"


def plan_provided(name: str, entry: Provided, results: ExperimentResults) -> tuple[list[PlannedFigure], str]:
    """Returns a figure for each group that holds what a plugin's figure needs, or why there is none.

    Args:
        name: what it goes by; with the label of the group it is the name of the planned figure.
        entry: the figure.
        results: of the experiment.
    """
    figure: ResultsFigure = entry.item
    try:
        fault = find_fault(figure)
        places = [need for need in figure.needs if "/" in need]
        own = [need for need in figure.needs if "/" not in need]
    except Exception as error:  # noqa: BLE001 - whatever a stranger calls its needs
        fault, places, own = f"{type(error).__name__}: {error}", [], []
    if fault:
        return [], f"the figure of {entry.plugin.distribution} is not as it should be: {fault}"
    paths = [path for path, group in results.groups.items() if set(own) <= set(group.data_vars)]
    if not paths:
        return [], f"needs a group with {', '.join(own)}"
    if missing := [place for place in places if not _has_place(results, place)]:
        return [], f"needs {', '.join(missing)}, over seed, init_scale and epoch at most"
    labels = _label_paths(paths)
    return [
        PlannedFigure(
            name=f"{name}.{labels[path]}",
            caption=str(figure.caption),
            draw=lambda path=path: _draw(entry, gather_needs(results, path, places)),
        )
        for path in paths
    ], ""


def gather_needs(results: ExperimentResults, path: str, places: Sequence[str]) -> xr.Dataset:
    """Returns a group with further numbers of the experiment beside its own, at its seeds, init_scales and epochs.

    Args:
        results: of the experiment.
        path: of the group.
        places: ``GROUP/VARIABLE`` of the further numbers, which are also their names; NaN where they have none.
    """
    group = results.groups[path]
    further = {}
    for place in places:
        of, _, variable = place.rpartition("/")
        further[place] = select_values(results.groups[of], variable)[0].reset_coords(drop=True)
    return group.assign(further)  # xarray takes what is at the labels of the group


def find_fault(figure: ResultsFigure) -> str:
    """Returns what is wrong with the name or the needs of a figure; empty if nothing is."""
    if not _NAME.fullmatch(figure.name):
        return f"its name is {figure.name!r}; expected letters, digits, _ and -"
    if isinstance(figure.needs, str) or not [need for need in figure.needs if "/" not in need]:
        return f"its needs are {figure.needs!r}; expected a tuple with the name of at least one variable"
    return ""


def _has_place(results: ExperimentResults, place: str) -> bool:
    path, _, variable = place.rpartition("/")
    group = results.groups.get(path)
    return group is not None and variable in group and set(group[variable].dims) <= set(names.LEADING_DIMS)


def _label_paths(paths: list[str]) -> dict[str, str]:
    """Returns the labels of groups, in full where two of different kinds have the same."""
    counts = Counter(path.rpartition("/")[2] for path in paths)
    return {path: last if counts[last := path.rpartition("/")[2]] == 1 else path.replace("/", ".") for path in paths}


def _draw(entry: Provided, dataset: xr.Dataset) -> Figure:
    with using_style():
        ax = entry.item.draw(dataset)
    if not (isinstance(ax, Axes) and isinstance(figure := ax.figure.figure, Figure)):
        raise PluginError(f"figure {full_name(entry)}: draw returned {type(ax).__name__}, expected the panel it drew")
    return figure
