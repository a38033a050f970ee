"""Neurons: how a number is distributed over them, and their spectra."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.colors import color_scales
from grokprobe.plots.labels import axis_label, coordinate_label, say_nothing_defined, scale_label
from grokprobe.plots.measured import at_epoch
from grokprobe.plots.style import create_axes

#: Bins of a histogram over the range of the variable.
NUM_BINS: Final = 40


def plot_neuron_histogram(
    dataset: xr.Dataset,
    variable: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    legend: bool = True,
) -> Axes:
    """Draws how a variable is distributed over the neurons of all seeds of each init_scale, as a density.

    Neurons without a value are left out; below the axis stands how many have one, in the order of the scales. The 40
    bins span the variable's range where it is bounded, else the values.

    Args:
        dataset: a group of the results.
        variable: name of a variable with the dimension ``neuron``, ``parameter`` or ``draw``.
        ax: where to draw; by default a new figure in the packaged style.
        select: labels along its dimensions, such as ``{"neuron_layer": "input_a"}``.
        epoch: of every run; by default the last at which each was measured.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 4.
    """
    ax = create_axes() if ax is None else ax
    values = at_epoch(dataset, variable, select, epoch)
    known = values.to_numpy()[np.isfinite(values.to_numpy())]
    counts = []
    if not known.size:
        say_nothing_defined(ax)
    else:
        edges = _edges(values, known)
        for scale, color in color_scales(values[names.INIT_SCALE].to_numpy().tolist()).items():
            of_scale = values.sel({names.INIT_SCALE: scale}).to_numpy().ravel()
            of_scale = of_scale[np.isfinite(of_scale)]
            counts.append(str(len(of_scale)))
            if of_scale.size:
                density = np.histogram(of_scale, bins=edges, density=True)[0]
                ax.stairs(density, edges, color=color, fill=True, alpha=0.15)
                ax.stairs(density, edges, color=color, label=scale_label(scale), linewidth=1.2)
    ax.set_xlabel("\n".join([axis_label(dataset[variable]), *([f"n = {', '.join(counts)}"] if counts else [])]))
    ax.set_ylabel("density")
    if legend and known.size:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), title="init_scale", alignment="left")
    return ax


def plot_neuron_spectra(
    dataset: xr.Dataset,
    variable: str,
    dim: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any],
    epoch: int | None = None,
) -> Axes:
    """Draws the spectra of neurons as a heat map: one row a neuron, each divided by its sum.

    Rows are sorted by where they are largest, so that clusters show. Neurons whose sum is zero or undefined have no
    row, and the axis says how many rows there are. Divided by its sum, a spectrum says where the power of a neuron is
    and not how much it has.

    Args:
        dataset: a group of the results.
        variable: name of a variable over ``neuron`` and ``dim``, not negative.
        dim: the dimension along the axis.
        ax: where to draw; by default a new figure in the packaged style.
        select: ``seed`` and ``init_scale`` of the run, and the layer.
        epoch: by default the last at which the run was measured.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 4.
    """
    ax = create_axes() if ax is None else ax
    run = {key: label for key, label in select.items() if key in names.SUMMARY_DIMS}
    rest = {key: label for key, label in select.items() if key not in run}
    one_run = dataset.sel({key: [label] for key, label in run.items()})
    values = at_epoch(one_run, variable, rest, epoch).isel(dict.fromkeys(names.SUMMARY_DIMS, 0))
    spectra = values.transpose(..., dim).to_numpy().reshape(-1, values.sizes[dim])
    totals = spectra.sum(axis=1)
    has_row = np.isfinite(totals) & (totals > 0)
    shares = spectra[has_row] / totals[has_row, None]
    x = values[dim].to_numpy() if dim in values.coords else np.arange(values.sizes[dim])
    if not has_row.any():
        say_nothing_defined(ax)
    else:
        order = np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))
        extent = (x[0] - 0.5, x[-1] + 0.5, len(order) - 0.5, -0.5)
        image = ax.imshow(shares[order], aspect="auto", interpolation="nearest", extent=extent, vmin=0, vmax=1)
        ax.figure.colorbar(image, ax=ax, label=f"share of {axis_label(dataset[variable]).partition(' (')[0]}", pad=0.02)
    ax.grid(visible=False)
    ax.set_xlabel(coordinate_label(values, dim))
    ax.set_ylabel(f"neurons ({int(has_row.sum())} of {len(has_row)})")
    return ax


def _edges(values: xr.DataArray, known: np.ndarray) -> np.ndarray:
    low, high = float(known.min()), float(known.max())
    if {"valid_min", "valid_max"} <= set(values.attrs):
        low, high = float(values.attrs["valid_min"]), float(values.attrs["valid_max"])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, NUM_BINS + 1)
