"""Stores with little in them, or with strange things, still give every figure and a page that says what is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grokprobe.plots import list_figures, read_experiments
from grokprobe.plugins import PluginSelection
from grokprobe.report import build_report
from grokprobe.status import Status
from grokprobe.variables import Coordinate, VariableSpec
from unit.made_results import Sweep, write_results
from unit.report.page_contents import Page

ONE: dict[str, Any] = {"seeds": (3,), "scales": (0.5,)}
HEAVY = ("geometry/fisher", "probes/energy", "probes/fourier")
LEAN = (*HEAVY, "compressors/magnitude")
NONE_OF_GROKPROBE = PluginSelection(requested=("no:builtin_probes", "no:builtin_compressors", "no:builtin_metrics"))
NORM = VariableSpec(
    name="norm", dims=("layer",), bounds=(0, None), description="Made norm.", reference="nobody", headline=True
)
LAYER = {"layer": Coordinate(dim="layer", values=np.array(["only"]))}
DRAWN = tuple(
    VariableSpec(name=name, dims=dims, bounds=(0, 1), description=f"Made {name}.", reference="nobody", headline=True)
    for name, dims in (
        ("ipr", ("draw", "neuron")),
        ("dominant_frequency", ("draw", "neuron")),
        ("ipr_mean", ("draw", "layer")),
    )
)
OF_NULL = {
    "draw": Coordinate(dim="draw", values=np.arange(3)),
    "layer": Coordinate(dim="layer", values=np.array(["input", "output"])),
    "neuron_layer": Coordinate(dim="neuron", values=np.repeat(["input", "output"], 4)),
    "neuron_index": Coordinate(dim="neuron", values=np.tile(np.arange(4), 2)),
}


def some_fail(group: str, seed: int, scale: float, epoch: int) -> Status:
    return Status.FAILED if epoch > 5 and group != "history" else Status.OK


def nothing_of(*groups: str) -> Any:
    return lambda group, *_: Status.MISSING if group in groups else Status.OK


def odd_runs_alone(group: str, seed: int, scale: float, epoch: int) -> Status:
    return Status.OK if (seed + int(scale) + epoch) % 2 or group == "history" else Status.MISSING


#: Name → (what the store holds, what its page has to say, names of figures that have to be drawn).
CASES: dict[str, tuple[Sweep, list[str], list[str]]] = {
    "failures": (
        Sweep(**ONE, epochs=(0, 5, 10), status=some_fail, without=LEAN),
        ["1 failed: made/probes/strange ValueError: made <fault>", "seed 3, init_scale 0.5: epoch 10"],
        ["training", "probes/strange/height"],
    ),
    "everything failed": (
        Sweep(**ONE, epochs=(0, 5), status=lambda *_: Status.FAILED, without=HEAVY),
        ["No accuracy of this run is defined", "2 failed: made/compressors/magnitude", "nothing was measured"],
        ["probes/strange/height"],
    ),
    "one epoch": (
        Sweep(seeds=(0, 1), epochs=(20,), without=("geometry/fisher", "compressors/magnitude")),
        ["Its accuracy is known at one epoch alone", "2 x 2 x 1"],
        [
            "training",
            "dynamics",
            "ipr.fourier",
            "spectrum.fourier",
            "correlation.energy.weighted_correlation",
        ],
    ),
    "one seed, scale and epoch": (
        Sweep(**ONE, epochs=(0,), without=HEAVY[1:]),
        ["init_scale 0.5, seed 3", "Its accuracy is known at one epoch alone"],
        ["training", "scales", "pruning.magnitude", "cosines.fisher"],
    ),
    "one seed": (
        Sweep(seeds=(7,), epochs=(0, 20), without=HEAVY),
        ["made has 2 runs"],
        ["training", "scales", "compressibility.magnitude"],
    ),
    "nothing defined": (
        Sweep(**ONE, epochs=(0, 5), is_undefined=True),
        ["No accuracy of this run is defined", "undefined at every checkpoint: height", "undefined"],
        ["training", "ipr.fourier", "spectrum.fourier", "pruning.magnitude", "steps.fisher", "probes/strange/shape"],
    ),
    "a group that is empty": (
        Sweep(**ONE, epochs=(0, 5), status=nothing_of("compressors/magnitude", "probes/fourier"), without=HEAVY[:2]),
        ["compressors/magnitude: nothing was measured", "probes/fourier: nothing was measured"],
        ["training", "pruning.magnitude", "ipr.fourier", "probes/strange/height"],
    ),
    "every group is empty": (
        Sweep(**ONE, epochs=(0, 5), status=lambda *_: Status.MISSING, without=(*HEAVY, "history")),
        ["No run was measured", "probes/strange: nothing was measured"],
        ["probes/strange/height"],
    ),
    "gaps": (
        Sweep(epochs=(0, 1, 2, 3), status=odd_runs_alone, without=LEAN),
        ["12 coordinates of 24 not measured"],
        ["training", "probes/strange/shape"],
    ),
    "weights alone, no task, one layer": (
        Sweep(
            **ONE,
            epochs=(0, 5),
            without=(*LEAN, "history", "probes/strange"),
            groups={"probes/weights": ((NORM,), LAYER)},
        ),
        ["Its accuracy along the run is not known", "probes/weights/norm[only]"],
        ["probes/weights/norm"],
    ),
    "infinite": (
        Sweep(**ONE, epochs=(0, 20), is_infinite=True, without=("probes/fourier", "probes/energy")),
        ["Compressibility (magnitude): infinite", "probes/strange/height infinite m"],
        ["dynamics", "compressibility.magnitude", "steps.fisher", "probes/strange/height"],
    ),
    "steps": (
        Sweep(**ONE, units="steps", without=LEAN),
        ["It fits the training data at step", "at step 40"],
        ["training", "probes/strange/height"],
    ),
    "one layer": (
        Sweep(**ONE, epochs=(0, 5), layers=("only",), without=(*HEAVY[:1], *LEAN[-1:], "history")),
        ["probes/fourier/ipr_mean[only]"],
        ["ipr.fourier", "correlation.energy.weighted_correlation"],
    ),
    "many neurons": (
        Sweep(**ONE, epochs=(0, 5), num_neurons=30_000, num_frequencies=2, without=(*LEAN[:2], *LEAN[3:], "history")),
        ["96 of 30000 neurons"],
        ["ipr.fourier", "spectrum.fourier"],
    ),
    "a null": (
        Sweep(**ONE, epochs=(0, 5), without=(*LEAN, "history"), groups={"probes/fourier@null": (DRAWN, OF_NULL)}),
        ["probes/fourier@null"],
        ["ipr.fourier@null", "probes/fourier@null/ipr_mean"],
    ),
}


#: Cases whose numbers may be too strange for an axis. Turning the others into pictures takes time and shows nothing.
RENDERED = {"nothing defined", "infinite", "one seed, scale and epoch"}


@pytest.mark.parametrize("case", CASES)
def test_a_poor_store_gives_a_page_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    sweep, said, figures = CASES[case]
    if case not in RENDERED:
        monkeypatch.setattr("grokprobe.report.pictures.render_figure", lambda *_, **__: b"<svg/>")
    store = write_results(tmp_path / "r.zarr", sweep)
    source = build_report(store, plugins=NONE_OF_GROKPROBE)
    page = Page(source)
    slid = page.scripts.get("slider-index", "")
    assert [words for words in said if words not in page.text and words not in slid] == []
    assert "could not be drawn" not in page.text
    assert "cannot be shown" not in page.text
    assert len(source) < 5_000_000
    (results,) = read_experiments(store)
    listed = list_figures(results)
    assert [figure for figure in figures if figure not in listed.figures] == []
    for name, figure in listed.without_copies().figures.items():
        if f"{name} {figure.caption}" not in page.text:  # the others are drawn on the page
            assert figure.draw().axes


def test_a_panel_that_cannot_be_shown_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("made")

    monkeypatch.setattr("grokprobe.report.slider.pack_panel", fail)
    page = Page(build_report(write_results(tmp_path / "r.zarr", Sweep(**ONE, without=HEAVY))))
    assert "accuracy, magnitude, which cannot be shown (RuntimeError: made)" in page.text
