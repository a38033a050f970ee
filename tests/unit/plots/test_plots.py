"""Each plotting function shows the numbers of the store."""

from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import architecture
import grokprobe
from grokprobe.errors import UsageError
from grokprobe.plots import (
    ExperimentResults,
    draw_variable,
    plot_cosines,
    plot_neuron_histogram,
    plot_neuron_spectra,
    plot_over_epochs,
    plot_over_scales,
    plot_profile,
    plot_run_values,
    plot_spectrum,
    plot_training,
    render_figure,
)
from grokprobe.plots.measured import at_epoch
from unit.plots.panel_contents import legend_of, lines_of, texts_of

THICK = 1.5


def test_training_curves(made: ExperimentResults) -> None:
    history, summary = made.groups["history"], made.groups["summary"]
    ax = plot_training(history, summary=summary)
    medians = [line[:, 1] for line in lines_of(ax, width=THICK)]
    for name, of_split in (("train_accuracy", medians[:2]), ("test_accuracy", medians[2:])):
        for scale, line in zip((1.0, 10.0), of_split, strict=True):
            assert line == pytest.approx(history[name].sel(init_scale=scale).median("seed").to_numpy())
    marks = {line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}
    for name in ("train_epoch", "test_epoch"):
        assert marks >= set(summary[name].median("seed").to_numpy().tolist())
    assert legend_of(ax)[-4:] == ["training", "test", "train_epoch (median)", "test_epoch (median)"]
    assert plot_training(history, quantity="loss").get_yscale() == "log"


def test_into_a_given_panel(made: ExperimentResults) -> None:
    ax = Figure().add_subplot()
    assert plot_training(made.groups["history"], ax=ax, legend=False) is ax
    assert ax.get_legend() is None


def test_epochs_on_a_logarithmic_axis_keep_epoch_0(made: ExperimentResults) -> None:
    ax = plot_over_epochs(made.groups["compressors/magnitude"], "area", epoch_scale="symlog")
    assert ax.get_xscale() == "symlog"
    assert lines_of(ax)[0][0, 0] == 0


def test_profile_is_that_of_the_last_epoch_or_of_a_given_one(made: ExperimentResults) -> None:
    group = made.groups["compressors/magnitude"]
    for epoch, given in ((40, None), (5, 5)):
        medians = lines_of(plot_profile(group, "accuracy", "amount", epoch=given), width=THICK)
        for scale, line in zip((1.0, 10.0), medians, strict=True):
            expected = group.accuracy.sel(init_scale=scale, epoch=epoch).median("seed")
            assert line[:, 0] == pytest.approx(group.amount.to_numpy())
            assert line[:, 1] == pytest.approx(expected.to_numpy())


def test_profile_over_layers_is_in_stored_order(made: ExperimentResults) -> None:
    ax = plot_profile(made.groups["probes/energy"], "weighted_correlation", "layer", select={"feature": "energy"})
    assert [label.get_text() for label in ax.get_xticklabels()] == ["input", "output"]


def test_spectrum_is_logarithmic(made: ExperimentResults) -> None:
    group = made.groups["compressors/magnitude"].rename(amount="rank").assign_coords(rank=range(1, 12))
    ax = plot_spectrum(group, "loss")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_over_scales_says_how_many_seeds_count(made: ExperimentResults) -> None:
    summary = made.groups["summary"].load().copy(deep=True)
    summary["test_epoch"].loc[{"seed": 1, "init_scale": 10.0}] = np.nan
    ax = plot_over_scales(summary, "test_epoch")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1\nn = 2", "10\nn = 1"]


def test_run_values_have_r(made: ExperimentResults) -> None:
    summary = made.groups["summary"].load()
    values = summary.rename(final_train_loss="a/b/c/loss", test_epoch="a/b/c/time")
    title = plot_run_values(values, "a/b/c/loss", "a/b/c/time").get_title()
    assert title.endswith("4 runs")
    one = values.isel(seed=[0])
    assert plot_run_values(one, "a/b/c/loss", "a/b/c/time").get_title() == "r undefined, 2 runs"


def test_histogram_counts_the_neurons_of_all_seeds(made: ExperimentResults) -> None:
    ax = plot_neuron_histogram(made.groups["probes/fourier"], "ipr", select={"neuron_layer": "input"})
    assert ax.get_xlabel() == "ipr\nn = 12, 12"
    filled = [patch for patch in ax.patches if patch.get_fill()]
    assert len(filled) == 2
    for patch in filled:
        heights, edges, _ = patch.get_data()
        assert (heights * np.diff(edges)).sum() == pytest.approx(1)


def test_heat_map_has_a_row_for_each_neuron_that_has_power(made: ExperimentResults) -> None:
    group = made.groups["probes/fourier"].load().copy(deep=True)
    run = {"seed": 0, "init_scale": 1.0}
    group["spectrum"].loc[{**run, "epoch": 40}][0, :] = 0
    ax = plot_neuron_spectra(group, "spectrum", "frequency", select={**run, "neuron_layer": "input"})
    (image,) = ax.images
    shares = np.asarray(image.get_array())
    assert shares.shape == (5, 5)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (np.diff(shares.argmax(axis=1)) >= 0).all()
    assert ax.get_ylabel() == "neurons (5 of 6)"


def test_cosines_beside_their_diagonal(made: ExperimentResults) -> None:
    group = made.groups["geometry/fisher"]
    ax = plot_cosines(group, "step_cosine")
    assert {"the metric itself", "its diagonal"} <= set(legend_of(ax))
    diagonal = (group.step_cosine + group.diagonal_error_cosine).sel(init_scale=1.0).median("seed")
    assert any(np.allclose(line[:, 1], diagonal) for line in lines_of(ax, width=THICK) if len(line) == 9)
    alone = plot_cosines(group.drop_vars("diagonal_error_cosine"), "step_cosine")
    assert "its diagonal" not in legend_of(alone)


@pytest.mark.parametrize(
    ("place", "num_panels"),
    [
        ("probes/strange/height", 1),
        ("probes/strange/shape", 1),
        ("probes/strange/count", 1),
        ("probes/fourier/ipr_mean", 2),
        ("probes/fourier/ipr", 2),
        ("probes/fourier/spectrum", 4),
        ("probes/energy/weighted_correlation", 4),
        ("compressors/magnitude/accuracy", 1),
        ("summary/test_epoch", 1),
    ],
)
def test_any_variable_has_a_figure(made: ExperimentResults, place: str, num_panels: int) -> None:
    path, _, name = place.rpartition("/")
    figure = draw_variable(made.groups[path], name, summary=made.summary)
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.axison]
    assert len(panels) == num_panels


def test_what_has_no_figure_says_why(made: ExperimentResults) -> None:
    with pytest.raises(UsageError, match="several dimensions of many places: corner, amount"):
        draw_variable(made.groups["probes/strange"], "sheet")
    with pytest.raises(UsageError, match="no numbers"):
        draw_variable(made.groups["probes/strange"], "checkpoint_digest")


def test_at_epoch_reads_the_last_measured_epoch_of_each_run(made: ExperimentResults) -> None:
    group = made.groups["probes/strange"].load().copy(deep=True)
    group["status"].loc[{"seed": 1, "init_scale": 10.0, "epoch": slice(20, None)}] = 2
    group["status"].loc[{"seed": 0, "init_scale": 10.0}] = 0
    found = at_epoch(group, "height")
    assert found.at_epoch.to_numpy().tolist() == [[40, -1], [40, 15]]
    assert np.isnan(found.sel(seed=0, init_scale=10.0))
    assert found.sel(seed=1, init_scale=10.0) == group.height.sel(seed=1, init_scale=10.0, epoch=15)


@pytest.mark.parametrize("image_format", ["svg", "png"])
def test_equal_figures_give_equal_bytes_whatever_the_settings(made: ExperimentResults, image_format: str) -> None:
    def render() -> bytes:
        return render_figure(draw_variable(made.groups["probes/strange"], "height"), image_format)

    first = render()
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.grid": False}):
        assert render() == first
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]


def test_svg_is_well_formed_and_has_the_lines(made: ExperimentResults) -> None:
    figure = draw_variable(made.groups["probes/strange"], "height")
    root = ET.fromstring(render_figure(figure))  # noqa: S314 - our own
    identifiers = [node.get("id", "") for node in root.iter()]
    assert {"axes_1", "legend_1"} <= set(identifiers)
    assert sum(identifier.startswith("line2d") for identifier in identifiers) > 6
    assert b"<date>" not in render_figure(figure)
    assert b">height" in render_figure(figure, outlines=False)


def test_nothing_global_is_used() -> None:
    modules = architecture.parse_tree(Path(grokprobe.__file__).parent.parent)
    assert "matplotlib.figure" in modules["grokprobe.plots.style"].imports
    assert not [name for name, module in modules.items() if {"matplotlib.pyplot", "pylab"} & module.imports]


def test_heat_maps_of_nothing_say_so(made: ExperimentResults) -> None:
    group = made.groups["probes/fourier"].load()
    undefined = group.assign(spectrum=group.spectrum.where(False))
    (ax,) = draw_variable(undefined, "spectrum").axes
    assert texts_of(ax) == ["no value is defined here"]
