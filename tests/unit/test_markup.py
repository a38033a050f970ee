"""What a notebook shows of the objects that the library returns."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from grokprobe.analysis_report import AnalysisReport, ExperimentReport
from grokprobe.checkpoints import CheckpointRef, Discovery, Run, SkippedFile
from grokprobe.markup import MAX_ROWS, render_block
from grokprobe.plots import create_axes
from grokprobe.plugins import Plugin, Plugins, PluginSelection, Provided, load_plugins
from grokprobe.report import Verdict
from grokprobe.report.evidence import Evidence
from grokprobe.training.batch import RunReport, TrainReport
from grokprobe.units import Failure
from unit.report.page_contents import Page

EVIL = "<img src=x onerror=alert(1)>"
CHECKPOINT = CheckpointRef(path=Path("c"), epoch=7, step=None, size=1, modified_ns=0)
RUN = Run(
    path=Path(EVIL),
    seed=None,
    init_scale=0.5,
    recipe=None,
    parameters={},
    split=None,
    checkpoints=(CHECKPOINT,),
    shapes={},
    epoch_units="epochs",
    sources={},
    is_native=False,
)
FAILURE = Failure(where="a/probes/b", reason=EVIL)
SKIPPED = tuple(SkippedFile(path=Path(f"{i}.txt"), reason=EVIL) for i in range(3))
REPORT = ExperimentReport(
    name=EVIL, num_runs=1, num_epochs=2, measured={"probes/b": (6, 4)}, not_applicable={"probes/c": EVIL}
)
EVIDENCE = Evidence(place=EVIL, value=0.25, units="nat", epoch=0, definition="", reference="")
SHOWN: list[tuple[Any, list[str]]] = [
    (
        Discovery(runs=(RUN,), skipped=SKIPPED, unreadable=SKIPPED[:1], refused=(), warnings=(EVIL,)),
        [
            "Runs: 1, checkpoints: 1",
            "unknown",
            "0.5",
            "7 epochs",
            f"skipped (3): {EVIL}",
            f"damaged (1): {EVIL}",
        ],
    ),
    (
        AnalysisReport(
            results=Path("r.zarr"), experiments=(REPORT,), notices=(EVIL,), skipped=SKIPPED[:1], failures=(FAILURE,)
        ),
        ["Results in r.zarr", f"{EVIL} probes/b 6 4", f"failed: a/probes/b: {EVIL}", f"does not apply here: {EVIL}"],
    ),
    (
        TrainReport(
            runs=(
                RunReport(
                    directory=Path(EVIL), seed=3, init_scale=10.0, outcome="diverged", epochs_trained=5, diverged_at=4
                ),
            )
        ),
        ["Runs: 1", f"3 10 diverged 5 {EVIL}", "not finite after epoch 4"],
    ),
    (
        Plugins(
            loaded=(Plugin(name="bad", distribution="d", version="", error=EVIL),),
            provided=(
                Provided(kind="figures", name=EVIL, plugin=Plugin(name="p", distribution="d", version="1"), item=None),
            ),
        ),
        ["Plugins: 1", f"figure {EVIL} d", f"not used: bad: {EVIL}"],
    ),
    (
        Verdict(seed=1, init_scale=10.0, regime="groks", label="groks", sentences=(EVIL,), evidence=(EVIDENCE,)),
        ["init_scale 10, seed 1: groks", f"{EVIL} 0.25 nat 0"],
    ),
]


def text_of(block: str) -> str:
    """Returns what a reader sees."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", block)).split())


@pytest.mark.parametrize(("shown", "words"), SHOWN, ids=lambda value: type(value).__name__)
def test_an_object_is_shown_with_everything_escaped(shown: Any, words: list[str]) -> None:
    page, text = Page(shown._repr_html_()), text_of(shown._repr_html_())
    assert [word for word in words if word not in text] == []
    assert not page.all("img")
    assert "color" not in page.all("table")[0]["style"]  # that of the page, light or dark
    assert repr(shown).startswith(type(shown).__name__ + "(")


def test_what_is_long_is_counted() -> None:
    block = render_block("t", header=["n"], rows=[[i] for i in range(50)], lines=["line"] * 41)
    assert len(Page(block).all("tr")) == MAX_ROWS + 1
    assert f"39 and {50 - MAX_ROWS} more line" in text_of(block)
    assert text_of(block).endswith("line and 1 more")


def test_the_plugins_that_are_loaded_are_shown() -> None:
    assert "fourier" in Page(load_plugins(PluginSelection())._repr_html_()).text


def test_a_figure_is_shown_without_pyplot() -> None:
    assert create_axes().figure._repr_png_().startswith(b"\x89PNG")
