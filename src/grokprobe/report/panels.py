"""What the epoch slider moves: the numbers of every epoch, thinned to the size of a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.plots.labels import axis_label, coordinate_label
from grokprobe.plots.measured import select_labels
from grokprobe.plots.results import ExperimentResults
from grokprobe.report.evidence import Run
from grokprobe.report.packing import Blob, Encoding
from grokprobe.status import Status

#: Bytes of the numbers of all panels of a page, before compression. Epochs are thinned evenly until they fit.
MAX_BYTES: Final = 1_400_000
#: Neurons of one layer in the scatter, evenly picked.
MAX_NEURONS: Final = 96
#: Places along a spectrum, evenly picked on a logarithmic axis.
MAX_RANKS: Final = 64

#: One run → numbers over its epochs and whatever the panel shows.
Read = Callable[[xr.Dataset], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPanel:
    """One panel that moves with the epoch."""

    #: How it is drawn: ``scatter``, ``bars`` or ``lines``.
    kind: str
    #: Its title.
    title: str
    #: Labels of its axes.
    x_label: str
    y_label: str
    #: Whether both axes are logarithmic.
    is_log: bool
    #: What it shows, with every convention.
    definition: str
    #: Labels along the axis; empty for a scatter, which has its own.
    x: tuple[float, ...]
    #: The group it is of.
    group: str
    #: The variables that it reads.
    variables: tuple[str, ...]
    #: Numbers of one run.
    read: Read
    #: How they are stored.
    encoding: Encoding


def plan_panels(results: ExperimentResults, *, max_neurons: int = MAX_NEURONS) -> Iterator[EpochPanel]:
    """Yields the panels of an experiment: compression, spectra of layers, neurons.

    Args:
        results: of the experiment.
        max_neurons: dots of one layer in a scatter, evenly picked.
    """
    for path, group in results.groups.items():
        if names.EPOCH not in group.dims or path == names.HISTORY:
            continue
        for name, variable in group.data_vars.items():
            own = tuple(str(dim) for dim in variable.dims[3:])
            if own == (names.AMOUNT,) and name == "accuracy":
                yield _profile(path, group, str(name), names.AMOUNT)
            elif own and own[-1] == names.RANK and set(own) <= {names.LAYER, names.RANK}:
                for layer in group[names.LAYER].to_numpy().tolist() if names.LAYER in own else [None]:
                    yield _profile(path, group, str(name), names.RANK, layer)
            elif own == (names.NEURON, names.FREQUENCY):
                yield from _spectra(path, group, str(name))
        yield from _scatters(path, group, max_neurons)


def _profile(path: str, group: xr.Dataset, name: str, dim: str, layer: str | None = None) -> EpochPanel:
    places = group[dim].to_numpy()
    is_log = dim == names.RANK
    chosen = np.arange(len(places))
    if is_log and len(places) > MAX_RANKS:
        chosen = np.unique(np.geomspace(1, len(places), MAX_RANKS).astype(int)) - 1
    label = path.partition("/")[2]

    def read(run: xr.Dataset) -> np.ndarray:
        values = run[name] if layer is None else run[name].sel({names.LAYER: layer})
        numbers = values.to_numpy()[:, chosen]
        return np.where(numbers > 0, np.log10(np.maximum(numbers, 1e-300)), np.nan) if is_log else numbers

    return EpochPanel(
        kind="lines",
        title=", ".join([name.replace("_", " "), label, *([layer] if layer else [])]),
        x_label=coordinate_label(group, dim),
        y_label=axis_label(group[name]),
        is_log=is_log,
        definition=str(group[name].attrs.get("description", "")),
        x=tuple(float(value) for value in places[chosen]),
        group=path,
        variables=(name,),
        read=read,
        encoding="uint16",
    )


def _spectra(path: str, group: xr.Dataset, name: str) -> Iterator[EpochPanel]:
    layers = group[names.NEURON_LAYER].to_numpy()
    for layer in dict.fromkeys(layers.tolist()):
        chosen = np.flatnonzero(layers == layer)

        def read(run: xr.Dataset, chosen: np.ndarray = chosen) -> np.ndarray:
            powers = np.nansum(run[name].to_numpy()[:, chosen], axis=1)
            totals = powers.sum(axis=1, keepdims=True)
            return np.divide(powers, totals, out=np.full_like(powers, np.nan), where=totals > 0)

        yield EpochPanel(
            kind="bars",
            title=f"spectrum, {path.partition('/')[2]}, {layer}",
            x_label=coordinate_label(group, names.FREQUENCY),
            y_label="share of power",
            is_log=False,
            definition=f"{group[name].attrs.get('description', '')} Summed over the neurons of the layer, as shares.",
            x=tuple(float(value) for value in group[names.FREQUENCY].to_numpy()),
            group=path,
            variables=(name,),
            read=read,
            encoding="uint16",
        )


def _scatters(path: str, group: xr.Dataset, max_neurons: int) -> Iterator[EpochPanel]:
    """Yields a scatter of neurons for each layer: of two numbers, or of one over the neurons."""
    if names.NEURON_LAYER not in group.coords:
        return
    axes = _axes_of_scatter(group)
    if axes is None:
        return
    layers = group[names.NEURON_LAYER].to_numpy()
    for layer in dict.fromkeys(layers.tolist()):
        of_layer = np.flatnonzero(layers == layer)
        chosen = thin_evenly(of_layer, max_neurons)

        def read(run: xr.Dataset, chosen: np.ndarray = chosen) -> np.ndarray:
            columns = [select_labels(run[name], select).to_numpy()[:, chosen] for name, select, _ in axes]
            return np.stack(columns, axis=1)

        shown = f"{len(chosen)} of {len(of_layer)} neurons" if len(chosen) < len(of_layer) else f"{len(chosen)} neurons"
        yield EpochPanel(
            kind="scatter",
            title=f"neurons, {path.partition('/')[2]}, {layer}",
            x_label=axes[0][2],
            y_label=axes[1][2],
            is_log=False,
            definition=" ".join([f"{shown}.", *(_definition(group, name) for name, _, _ in axes)]),
            x=(),
            group=path,
            variables=tuple(dict.fromkeys(name for name, _, _ in axes)),
            read=read,
            encoding="uint8",
        )


def _axes_of_scatter(group: xr.Dataset) -> list[tuple[str, dict[str, Any], str]] | None:
    """Returns variable, selection and label of both axes; None where the group has no pair of numbers of neurons."""
    for name, variable in group.data_vars.items():
        if variable.dims[3:] == (names.NEURON, names.FEATURE) and variable.sizes[names.FEATURE] > 1:
            features = variable[names.FEATURE].to_numpy().tolist()[:2]
            return [(str(name), {names.FEATURE: f}, f"{axis_label(variable)}, {f}") for f in features]
    known = [str(name) for name, variable in group.data_vars.items() if variable.dims[3:] == (names.NEURON,)]
    pair = ["dominant_frequency", "ipr"] if {"dominant_frequency", "ipr"} <= set(known) else known[:2]
    return [(name, {}, axis_label(group[name])) for name in pair] if len(pair) == 2 else None


def _definition(group: xr.Dataset, name: str) -> str:
    return f"{name}: {group[name].attrs.get('description', '')}"


def thin_evenly(values: np.ndarray, most: int) -> np.ndarray:
    """Returns at most ``most`` of some values, but at least two, evenly picked, the first and the last among them."""
    count = min(max(most, 2), len(values))
    return values[np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))]


def pack_panel(
    panel: EpochPanel, results: ExperimentResults, runs: list[Run], blob: Blob, budget: int
) -> dict[str, Any] | None:
    """Adds the numbers of a panel to the blob, over runs and epochs; None where no run has any.

    Args:
        panel: what is shown.
        results: of the experiment.
        runs: that can be chosen.
        blob: where the numbers go.
        budget: bytes that they may take; epochs are thinned evenly, the first and the last stay.
    """
    group = results.groups[panel.group]
    status = group[names.STATUS].load()
    epochs = status[names.EPOCH].to_numpy()[(status == int(Status.OK)).any(list(names.SUMMARY_DIMS)).to_numpy()]
    present = [run for run in runs if run[0] in group.indexes[names.SEED] and run[1] in group.indexes[names.INIT_SCALE]]
    if not len(epochs) or not present:
        return None
    needed = group[[*panel.variables, names.STATUS]]
    first = {names.SEED: present[0][0], names.INIT_SCALE: present[0][1], names.EPOCH: epochs[:1]}
    shape = panel.read(needed.sel(first)).shape[1:]
    bytes_per_epoch = len(runs) * int(np.prod(shape)) * np.dtype(panel.encoding).itemsize
    kept = thin_evenly(epochs, budget // bytes_per_epoch)
    found = np.full((len(runs), len(kept), *shape), np.nan)
    for place, run in enumerate(runs):
        if run not in present:
            continue
        of_run = needed.sel({names.SEED: run[0], names.INIT_SCALE: run[1], names.EPOCH: kept}).load()
        is_measured = of_run[names.STATUS].to_numpy() == int(Status.OK)
        found[place, is_measured] = panel.read(of_run)[is_measured]
    if not np.isfinite(found).any():
        return None
    columns = [found[:, :, axis] for axis in range(2)] if panel.kind == "scatter" else [found]
    rounding = "Positions to 1/500 of each axis. " if panel.encoding == "uint8" else ""
    return {
        "kind": panel.kind,
        "title": panel.title,
        "xLabel": panel.x_label,
        "yLabel": panel.y_label,
        "log": panel.is_log,
        "definition": rounding + panel.definition,
        "x": panel.x,
        "epochs": kept.tolist(),
        "width": int(found.shape[-1]),
        "arrays": [blob.add(column, panel.encoding) for column in columns],
        "thinned": len(epochs) - len(kept),
    }
