"""The laws of a ResultsFigure."""

import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.dataset import assemble_dataset
from grokprobe.interfaces import Probe, ResultsFigure
from grokprobe.plots import render_figure
from grokprobe.plots.provided import find_fault
from grokprobe.status import Status
from grokprobe.testing.conformance import ConformanceError, require
from grokprobe.testing.context import FixedContext
from grokprobe.testing.probes import check_probe

#: Coordinates of a made group.
_RUNS = {names.SEED: [0, 1], names.INIT_SCALE: [1.0, 10.0], names.EPOCH: [0, 5, 10]}


def make_group(probe: Probe, context: FixedContext) -> xr.Dataset:
    """Returns what ``probe`` stores of two seeds at two init_scales and three epochs, as a group of the results has it.

    Args:
        probe: the probe.
        context: a context it applies to. Its parameters are multiplied by another number at each epoch of each run.
    """
    check_probe(probe, context)
    factors = np.linspace(0.5, 2.0, 12).reshape([len(labels) for labels in _RUNS.values()])
    bound = context.with_options(context.options if context.options is not None else probe.options())
    specs = probe.variables(bound.options)

    def measure(factor: float) -> xr.Dataset:
        scaled = {name: factor * tensor for name, tensor in context.parameters.items()}
        return assemble_dataset(specs, probe.measure(bound.at(scaled)))

    runs = xr.DataArray(factors, coords=_RUNS)
    found = [measure(float(factor)).expand_dims("made") for factor in factors.ravel()]
    group = xr.concat(found, "made").assign_coords(runs.stack(made=list(_RUNS)).coords).unstack("made")
    status = xr.full_like(runs, int(Status.OK), dtype=np.int8)
    return group.assign({names.STATUS: status}).transpose(*_RUNS, ...)


def check_figure(figure: ResultsFigure, dataset: xr.Dataset) -> None:
    """Checks ``figure`` against the laws of :class:`grokprobe.interfaces.ResultsFigure`.

    It draws into the given panel or makes a figure of its own; nothing of the dataset, of the settings of matplotlib
    and of its open windows changes; equal datasets give equal pictures; one seed, one epoch, failed measurements and
    values that are all undefined or infinite give a picture, too.

    Args:
        figure: the figure.
        dataset: with everything it needs, as :func:`make_group` makes it from a probe.

    Raises:
        ConformanceError: a law is broken.
    """
    require(not (fault := find_fault(figure)), "name and needs are as the Protocol says", fault)
    require(bool(figure.caption.strip()), "there is a caption")
    absent = [need for need in figure.needs if need not in dataset]
    require(not absent, "the dataset has what the figure needs", f"it lacks {', '.join(absent)}")
    ax = Figure().add_subplot()
    require(_draw(figure, dataset, ax) is ax, "draw returns the panel it was given")
    require(_picture(figure, dataset) == _picture(figure, dataset), "equal datasets give equal pictures")
    for words, poor in _impoverish(figure, dataset):
        try:
            _picture(figure, poor)
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(f"{words} gives a picture, too: {type(error).__name__}: {error}") from error


def _picture(figure: ResultsFigure, dataset: xr.Dataset) -> bytes:
    of = _draw(figure, dataset, None).figure.figure
    if not isinstance(of, Figure):
        raise ConformanceError(f"draw returns a panel of a figure: {of!r}")
    return render_figure(of)


def _draw(figure: ResultsFigure, dataset: xr.Dataset, ax: Axes | None) -> Axes:
    before, settings, windows = dataset.copy(deep=True), dict(mpl.rcParams), _open_windows()
    panel = figure.draw(dataset, ax=ax)
    require(isinstance(panel, Axes), "draw returns the panel it drew", repr(panel))
    require(dataset.identical(before), "does not modify the dataset")
    require(dict(mpl.rcParams) == settings, "leaves the settings of matplotlib alone")
    require(_open_windows() == windows, "opens no window", "it made a figure through matplotlib.pyplot")
    return panel


def _open_windows() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return [] if pyplot is None else pyplot.get_fignums()


def _impoverish(figure: ResultsFigure, dataset: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    for dim in names.LEADING_DIMS:
        if dim in dataset.dims:
            yield f"one {dim}", dataset.isel({dim: [0]})
    numbers = [need for need in figure.needs if dataset[need].dtype.kind == "f"]
    for words, value in (("a dataset of undefined values", np.nan), ("a dataset of infinite values", np.inf)):
        yield words, dataset.assign({name: xr.full_like(dataset[name], value) for name in numbers})
    if names.STATUS in dataset:
        failed = xr.full_like(dataset[names.STATUS], int(Status.FAILED))
        undefined = {name: xr.full_like(dataset[name], np.nan) for name in numbers}
        yield "a dataset of failed measurements", dataset.assign({**undefined, names.STATUS: failed})
