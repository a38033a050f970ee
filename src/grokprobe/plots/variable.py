"""A figure for any variable, from its dimensions and attributes alone."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.plots.epochs import plot_over_epochs
from grokprobe.plots.labels import say_nothing_defined, scale_label
from grokprobe.plots.measured import at_epoch
from grokprobe.plots.neurons import plot_neuron_histogram, plot_neuron_spectra
from grokprobe.plots.profiles import plot_profile, plot_spectrum
from grokprobe.plots.scales import plot_over_scales
from grokprobe.plots.style import create_panels, using_style

#: Dimensions of many places that have no order of interest: what counts is the distribution over them.
_UNITS: Final = (names.NEURON, names.PARAMETER, names.DRAW)
#: Panels of a figure; the others are counted in its last title.
MAX_PANELS: Final = 12
_MAX_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: what it shows, and how it is drawn."""

    #: Its title; empty for none.
    title: str
    #: Draws into the given axes; the flag asks for a legend.
    draw: Callable[[Axes, bool], Axes]


def explain_undrawable(dataset: xr.Dataset, variable: str) -> str:
    """Returns why a variable has no default figure; empty where it has one."""
    array = dataset[variable]
    if array.dtype.kind not in "fiub":
        return "it holds no numbers"
    own = _own_dims(array)
    if not set(names.SUMMARY_DIMS) <= set(array.dims):
        return "it is not over seed and init_scale"
    if sum(_is_axis(array, dim) for dim in own) > 1:
        return f"it has several dimensions of many places: {', '.join(own)}"
    return ""


def draw_variable(
    dataset: xr.Dataset, variable: str, *, summary: xr.Dataset | None = None, epoch: int | None = None
) -> Figure:
    """Draws any variable, in one panel for each combination of its labels.

    A number, or one for each of a few labels such as ``layer``, is drawn over the epochs; with one epoch, or none, over
    init_scale. Along a dimension of numbers (``amount``, ``rank``, ``decile``) it is a profile at one epoch. Over
    ``neuron``, ``parameter`` or ``draw`` it is a histogram, and over ``neuron`` and a dimension of numbers a heat map
    of the first seed of each init_scale.

    Args:
        dataset: a group of the results.
        variable: name of the variable.
        summary: the group ``summary``, whose times are marked where there are epochs.
        epoch: where the epoch is no axis; by default the last at which each run was measured.

    Returns:
        A new figure in the packaged style. Beyond 12 panels the others are left out, and its title counts them.

    Raises:
        UsageError: there is no default figure for its dimensions; the message says why.
    """
    if reason := explain_undrawable(dataset, variable):
        raise UsageError(f"no figure of {variable!r}: {reason}")
    panels = list(_plan_panels(dataset, variable, summary, epoch))
    return draw_panels(panels or [Panel(title=variable.replace("_", " "), draw=_say_nothing)])


def draw_panels(panels: list[Panel], num_columns: int | None = None) -> Figure:
    """Draws panels into a new figure in the packaged style; the last of the first row has the legend.

    Args:
        panels: at least one; of more than 12 the first.
        num_columns: panels in a row; by default at most 4, in rows as full as can be.
    """
    shown = panels[:MAX_PANELS]
    num_columns = num_columns or _choose_columns(len(shown))
    figure, axes = create_panels(-(-len(shown) // num_columns), num_columns)
    with using_style():
        for place, (panel, ax) in enumerate(zip(shown, axes, strict=False)):
            panel.draw(ax, place == min(num_columns, len(shown)) - 1)
            if panel.title:
                ax.set_title(panel.title)
        for ax in axes[len(shown) :]:
            ax.set_axis_off()
        if len(panels) > len(shown):
            figure.suptitle(f"{len(shown)} of {len(panels)} panels", fontsize=8)
    return figure


def _choose_columns(num_panels: int) -> int:
    num_rows = -(-num_panels // _MAX_COLUMNS)
    return -(-num_panels // num_rows)


def _plan_panels(dataset: xr.Dataset, variable: str, summary: xr.Dataset | None, epoch: int | None) -> Iterator[Panel]:
    array = dataset[variable]
    own = _own_dims(array)
    axes = [dim for dim in own if _is_axis(array, dim)]
    units = [dim for dim in own if dim in _UNITS]
    labelled = [dim for dim in own if dim not in axes and dim not in units]
    for select in _label_combinations(dataset, labelled, units):
        title = ", ".join(str(label) for label in select.values())
        if axes and names.NEURON in units:
            yield from _heat_maps(dataset, variable, axes[0], select, epoch)
        else:
            yield Panel(title=title, draw=_drawer(dataset, variable, (axes, units), (select, summary, epoch)))


def _say_nothing(ax: Axes, _legend: bool) -> Axes:
    say_nothing_defined(ax)
    return ax


def _drawer(
    dataset: xr.Dataset, variable: str, dims: tuple[list[str], list[str]], given: tuple[dict[str, Any], Any, Any]
) -> Callable[[Axes, bool], Axes]:
    axes, units = dims
    select, summary, epoch = given
    if units:
        return lambda ax, legend: plot_neuron_histogram(
            dataset, variable, ax=ax, select=select, epoch=epoch, legend=legend
        )
    if axes == [names.RANK]:
        return lambda ax, legend: plot_spectrum(dataset, variable, ax=ax, select=select, epoch=epoch, legend=legend)
    if axes:
        return lambda ax, legend: plot_profile(
            dataset, variable, axes[0], ax=ax, select=select, epoch=epoch, legend=legend
        )
    if names.EPOCH not in dataset[variable].dims or dataset.sizes[names.EPOCH] == 1:
        return lambda ax, _: plot_over_scales(dataset, variable, ax=ax, select=select)
    return lambda ax, legend: plot_over_epochs(dataset, variable, ax=ax, select=select, summary=summary, legend=legend)


def _heat_maps(
    dataset: xr.Dataset, variable: str, dim: str, select: dict[str, Any], epoch: int | None
) -> Iterator[Panel]:
    """Yields a heat map for the first seed of each init_scale that has values."""
    probe = at_epoch(dataset, variable, {**select, dim: dataset[variable].isel({dim: 0})[dim].item()}, epoch)
    known = probe.notnull().any([d for d in probe.dims if d not in names.SUMMARY_DIMS])
    for scale in known[names.INIT_SCALE].to_numpy().tolist():
        seeds = known[names.SEED].to_numpy()[known.sel({names.INIT_SCALE: scale}).to_numpy()]
        if len(seeds):
            run = {names.SEED: int(seeds[0]), names.INIT_SCALE: scale}
            words = ", ".join([*map(str, select.values()), f"init_scale {scale_label(scale)}, seed {run[names.SEED]}"])
            yield Panel(
                title=words,
                draw=lambda ax, _, run=run: plot_neuron_spectra(
                    dataset, variable, dim, ax=ax, select={**run, **select}, epoch=epoch
                ),
            )


def _label_combinations(dataset: xr.Dataset, labelled: list[str], units: list[str]) -> Iterator[dict[str, Any]]:
    """Yields every combination of labels; neurons are told apart by their layer."""
    by_dim = {dim: _labels(dataset, dim) for dim in labelled}
    if names.NEURON in units and names.NEURON_LAYER in dataset.coords:
        by_dim[names.NEURON_LAYER] = list(dict.fromkeys(dataset[names.NEURON_LAYER].to_numpy().tolist()))
    for combination in itertools.product(*by_dim.values()):
        yield dict(zip(by_dim, combination, strict=True))


def _labels(dataset: xr.Dataset, dim: str) -> list[Any]:
    return dataset[dim].to_numpy().tolist() if dim in dataset.coords else list(range(dataset.sizes[dim]))


def _own_dims(array: xr.DataArray) -> list[str]:
    return [str(dim) for dim in array.dims if dim not in names.LEADING_DIMS]


def _is_axis(array: xr.DataArray, dim: str) -> bool:
    """Says whether the labels of a dimension are numbers along an axis."""
    if dim in _UNITS:
        return False
    return dim not in array.coords or array[dim].dtype.kind in "iufb"
