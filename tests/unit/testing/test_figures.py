"""A figure that breaks a law is found out, law by law."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from grokprobe.plots import create_axes, plot_over_epochs
from grokprobe.testing import ConformanceError, check_figure, make_group
from unit.testing.miniature import MeanProbe, build_context


@pytest.fixture(scope="module")
def group():
    return make_group(MeanProbe(), build_context())


class MeanFigure:
    name = "mean"
    caption = "Mean of the weights."
    needs = ("mean",)

    def draw(self, dataset, *, ax=None):
        ax = create_axes() if ax is None else ax
        return plot_over_epochs(dataset, "mean", ax=ax, select={"layer": "weight"})


class BadName(MeanFigure):
    name = "mean.weight"


class NoNeeds(MeanFigure):
    needs = ()


class NoCaption(MeanFigure):
    caption = " "


class NeedsMore(MeanFigure):
    needs = ("mean", "history/test_accuracy")


class IgnoresPanel(MeanFigure):
    def draw(self, dataset, *, ax=None):
        return super().draw(dataset)


class ReturnsFigure(MeanFigure):
    def draw(self, dataset, *, ax=None):
        return super().draw(dataset, ax=ax).figure


class Modifies(MeanFigure):
    def draw(self, dataset, *, ax=None):
        dataset["mean"].values *= 2
        return super().draw(dataset, ax=ax)


class ChangesSettings(MeanFigure):
    def draw(self, dataset, *, ax=None):
        mpl.rcParams["lines.linewidth"] += 1
        return super().draw(dataset, ax=ax)


class OpensWindow(MeanFigure):
    def draw(self, dataset, *, ax=None):
        return super().draw(dataset, ax=plt.figure().add_subplot() if ax is None else ax)


class Random(MeanFigure):
    def draw(self, dataset, *, ax=None):
        ax = super().draw(dataset, ax=ax)
        ax.set_title(str(np.random.default_rng().random()))
        return ax


class NeedsTwo(MeanFigure):
    #: Dimension of which it takes the second label.
    dim = "seed"

    def draw(self, dataset, *, ax=None):
        dataset[self.dim][1].item()
        return super().draw(dataset, ax=ax)


class NeedsTwoEpochs(NeedsTwo):
    dim = "epoch"


class NeedsValues(MeanFigure):
    def draw(self, dataset, *, ax=None):
        known = dataset["mean"].to_numpy()
        float(known[~np.isnan(known)][0])
        return super().draw(dataset, ax=ax)


class NeedsFinite(MeanFigure):
    def draw(self, dataset, *, ax=None):
        ax = super().draw(dataset, ax=ax)
        highest = float(dataset["mean"].max())
        if not np.isnan(highest):
            ax.set_ylim(0, highest)
        return ax


def test_a_good_figure_passes(group):
    check_figure(MeanFigure(), group)


@pytest.mark.parametrize(
    ("figure", "law"),
    [
        (BadName(), "name and needs"),
        (NoNeeds(), "name and needs"),
        (NoCaption(), "caption"),
        (NeedsMore(), "lacks history/test_accuracy"),
        (IgnoresPanel(), "returns the panel it was given"),
        (ReturnsFigure(), "returns the panel it drew"),
        (Modifies(), "does not modify the dataset"),
        (ChangesSettings(), "settings of matplotlib"),
        (OpensWindow(), "opens no window"),
        (Random(), "equal pictures"),
        (NeedsTwo(), "one seed gives a picture"),
        (NeedsTwoEpochs(), "one epoch gives a picture"),
        (NeedsValues(), "undefined values gives a picture"),
        (NeedsFinite(), "infinite values gives a picture"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MeanFigure) else "",
)
def test_a_broken_law_is_named(group, figure, law):
    with mpl.rc_context(), pytest.raises(ConformanceError, match=law):
        check_figure(figure, group.copy(deep=True))
    plt.close("all")


def test_a_made_group_is_as_results_have_it(group):
    assert group["mean"].dims == ("seed", "init_scale", "epoch", "layer")
    assert group["status"].dims == ("seed", "init_scale", "epoch")
    means = group["mean"].sel(layer="weight").to_numpy().ravel()
    own = build_context().parameters["weight"].double().mean().item()
    assert means / means[0] == pytest.approx(np.linspace(0.5, 2.0, 12) / 0.5)
    assert means[0] == pytest.approx(0.5 * own, rel=1e-6)
    assert group["mean"].attrs["description"] == "Mean."


def test_a_panel_of_a_subfigure_counts(group):
    class InSubfigure(MeanFigure):
        def draw(self, dataset, *, ax=None):
            return super().draw(dataset, ax=Figure().subfigures().add_subplot() if ax is None else ax)

    check_figure(InSubfigure(), group)
