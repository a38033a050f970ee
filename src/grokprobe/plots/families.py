"""The families of figures: what each shows, and what results have to hold for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.plots.plans import (
    ACCURACY,
    Plan,
    plan_against,
    plan_correlation,
    plan_cosines,
    plan_dynamics,
    plan_scales,
    plan_steps,
    plan_training,
    plan_variables,
)
from grokprobe.plots.results import ExperimentResults


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFigure:
    """A figure that can be drawn."""

    #: Unique in its experiment; the name of its file.
    name: str
    #: What it shows, in one sentence.
    caption: str
    #: Draws it.
    draw: Callable[[], Figure]
    #: Name of a figure that shows the same; empty for none.
    copy_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFamily:
    """Figures of one kind, one for each group that has what they need."""

    #: How the command line calls it.
    name: str
    #: What it shows, in one sentence, with the published figures of the same kind.
    caption: str
    #: What results have to hold for it.
    needs: str
    #: Yields the figures of an experiment: none where it lacks what they need.
    plan: Callable[[ExperimentResults], Iterator[Plan]]


FAMILIES: Final = (
    FigureFamily(
        name="training",
        caption="Accuracy and loss over the epochs, training dashed and test solid (published: Fig. 2, 14).",
        needs="the group history",
        plan=plan_training,
    ),
    FigureFamily(
        name="dynamics",
        caption="Accuracy, features and compressibility over the same epochs (Fig. 6, 7).",
        needs="the group history, and a probe with headline numbers or a compressor",
        plan=plan_dynamics,
    ),
    FigureFamily(
        name="scales",
        caption="When the runs learned, and how well in the end, by init_scale (Fig. 9, 10).",
        needs="the group summary",
        plan=plan_scales,
    ),
    FigureFamily(
        name="correlation",
        caption="Correlation with each feature of the input by layer, at the last epoch (Fig. 3, 12, 13).",
        needs="a probe with a correlation by layer and feature",
        plan=plan_correlation,
    ),
    FigureFamily(
        name="spectrum",
        caption="Spectrum of each neuron, one row a neuron, at the last epoch (Fig. 4).",
        needs="a probe with a spectrum of neurons: fourier with --set fourier.spectrum=true",
        plan=plan_variables(names.PROBES, "spectrum"),
    ),
    FigureFamily(
        name="ipr",
        caption="Inverse participation ratio over the neurons at the last epoch (Fig. 4).",
        needs="a probe with ipr: fourier",
        plan=plan_variables(names.PROBES, "ipr"),
    ),
    FigureFamily(
        name="pruning",
        caption="Accuracy over the amount of compression at the last epoch (Fig. 5, 21-27).",
        needs="a compressor",
        plan=plan_variables(names.COMPRESSORS, ACCURACY),
    ),
    FigureFamily(
        name="compressibility",
        caption="Compressibility against losses, norms, inequality and features, one point a run (Fig. 5, 15-17, 19).",
        needs="a compressor, and the group summary",
        plan=plan_against,
    ),
    FigureFamily(
        name="steps",
        caption="Norm of the step between checkpoints, its gradient, straightness and subspaces (Fig. 31-34).",
        needs="a metric",
        plan=plan_steps,
    ),
    FigureFamily(
        name="cosines",
        caption="Cosines between steps and towards the origin, exact beside the diagonal approximation (Fig. 8).",
        needs="a metric",
        plan=plan_cosines,
    ),
    FigureFamily(
        name="fisher",
        caption="Sorted diagonal of the Fisher information, and its eigenvalues, at the last epoch (Fig. 20).",
        needs="the probe fisher",
        plan=plan_variables(names.PROBES, "sorted_diagonal", "eigenvalue"),
    ),
)
