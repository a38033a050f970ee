import torch

from grokprobe.testing import FixedContext, check_figure, make_group
from grokprobe_template import KurtosisProbe, TailsFigure, grokprobe_figures
from grokprobe_template.tails import NORMAL


def test_figure_keeps_the_laws():
    generator = torch.Generator().manual_seed(0)
    layers = {name: torch.randn(8, 5, generator=generator) for name in ("first.weight", "second.weight")}
    group = make_group(KurtosisProbe(), FixedContext(parameters=layers))
    check_figure(TailsFigure(), group)
    ax = TailsFigure().draw(group)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(layers)
    assert ax.lines[0].get_ydata() == [NORMAL, NORMAL]


def test_hook_provides_the_figure():
    assert [figure.name for figure in grokprobe_figures()] == ["tails"]
