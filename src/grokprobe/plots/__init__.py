"""Figures of results: functions from labelled datasets to panels of matplotlib, without global state.

Each function takes a group of the results, and ``ax`` to draw into a panel of yours; without it a new figure has the
packaged style. Nothing here opens a window or reads or changes the settings of matplotlib.
"""

from grokprobe.plots.catalogue import Catalogue, list_figures
from grokprobe.plots.cosines import plot_cosines
from grokprobe.plots.epochs import plot_over_epochs
from grokprobe.plots.families import FAMILIES, FigureFamily, PlannedFigure
from grokprobe.plots.neurons import plot_neuron_histogram, plot_neuron_spectra
from grokprobe.plots.profiles import plot_profile, plot_spectrum
from grokprobe.plots.results import ExperimentResults, read_experiment, read_experiments
from grokprobe.plots.runs import plot_run_values
from grokprobe.plots.scales import plot_over_scales
from grokprobe.plots.style import STYLE, create_axes, create_panels, render_figure, using_style, write_figure
from grokprobe.plots.training import plot_training
from grokprobe.plots.variable import draw_variable

__all__ = [
    "FAMILIES",
    "STYLE",
    "Catalogue",
    "ExperimentResults",
    "FigureFamily",
    "PlannedFigure",
    "create_axes",
    "create_panels",
    "draw_variable",
    "list_figures",
    "plot_cosines",
    "plot_neuron_histogram",
    "plot_neuron_spectra",
    "plot_over_epochs",
    "plot_over_scales",
    "plot_profile",
    "plot_run_values",
    "plot_spectrum",
    "plot_training",
    "read_experiment",
    "read_experiments",
    "render_figure",
    "using_style",
    "write_figure",
]
