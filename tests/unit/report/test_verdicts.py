from pathlib import Path

import numpy as np
import pytest

from grokprobe.plots import ExperimentResults, read_experiments
from grokprobe.report.evidence import find_evidence
from grokprobe.report.verdicts import judge_runs, list_runs, summarise_verdicts
from grokprobe.report.wording import say_list, say_ranges
from grokprobe.status import Status
from unit.made_results import Sweep, write_results

#: Groups that say nothing about when a run learned.
LEAN = ("geometry/fisher", "probes/energy", "probes/fourier", "probes/strange")


def read(path: Path, sweep: Sweep) -> ExperimentResults:
    (results,) = read_experiments(write_results(path / "r.zarr", sweep))
    return results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResults:
    return read(tmp_path_factory.mktemp("made"), Sweep(seeds=(0,)))


def test_each_run_has_its_regime_with_its_numbers(made: ExperimentResults) -> None:
    steady, groks = judge_runs(made)
    assert (steady.init_scale, steady.label, groks.init_scale, groks.label) == (1.0, "learns steadily", 10.0, "groks")
    summary = made.groups["summary"].sel(seed=0, init_scale=10.0)
    train, test = int(summary.train_epoch), int(summary.test_epoch)
    assert groks.sentences[0] == (
        f"It fits the training data at epoch {train} and the test data at epoch {test}, {test - train} epochs later:"
        " longer than it took to fit the training data."
    )
    assert summarise_verdicts((steady, groks)) == "2 runs: 1 groks, 1 learns steadily."


def test_sentences_have_the_numbers_of_the_store(made: ExperimentResults) -> None:
    text = " ".join(judge_runs(made)[0].sentences)
    run = {"seed": 0, "init_scale": 1.0, "epoch": 40}
    fourier, energy = made.groups["probes/fourier"], made.groups["probes/energy"].weighted_correlation.sel(run)
    for layer in ("input", "output"):
        assert f"{float(fourier.ipr_mean.sel({**run, 'layer': layer})):.3g} in {layer}" in text
    best = energy.isel(energy.argmax(...))
    assert f"it follows {best.feature.item()} best, with a weighted correlation of {float(best):.3g}" in text
    straightness = float(made.groups["geometry/fisher"].straightness.sel(run))
    assert f"{1 / straightness:.3g} times as long" in text


def test_every_number_has_its_definition(made: ExperimentResults) -> None:
    evidence = {item.place: item for item in judge_runs(made)[0].evidence}
    assert {"summary/test_epoch", "probes/strange/height", "probes/fourier/ipr_mean[input]"} <= set(evidence)
    assert evidence["probes/strange/height"].definition == "<b>Made</b> height."
    assert evidence["probes/strange/height"].units == "m"
    assert evidence["compressors/magnitude/compressibility"].epoch == 40
    assert len(evidence) == len(judge_runs(made)[0].evidence)  # none twice


def test_one_epoch_says_nothing_of_times(tmp_path: Path) -> None:
    verdict = judge_runs(read(tmp_path, Sweep(seeds=(0,), scales=(1.0,), epochs=(5,), without=LEAN)))[0]
    assert verdict.label == "not known"
    assert "known at one epoch alone" in verdict.sentences[0]


def test_what_is_learned_in_part_or_not_at_all(tmp_path: Path) -> None:
    fits, fails = judge_runs(read(tmp_path, Sweep(seeds=(0,), epochs=tuple(range(0, 30, 5)), without=LEAN)))
    assert fits.regime == "steady"
    assert fails.label in ("does not generalise", "groks")
    neither = judge_runs(read(tmp_path / "b", Sweep(seeds=(0,), scales=(10.0,), epochs=(0, 1, 2), without=LEAN)))[0]
    assert neither.label == "does not learn"
    assert not any("can go before" in sentence for sentence in neither.sentences)


@pytest.mark.parametrize(
    "sweep", [Sweep(seeds=(0,), is_undefined=True, without=LEAN), Sweep(seeds=(0,), without=(*LEAN, "history"))]
)
def test_undefined_is_not_known(tmp_path: Path, sweep: Sweep) -> None:
    verdicts = judge_runs(read(tmp_path, sweep))
    assert {verdict.label for verdict in verdicts} == {"not known"}


def test_runs_are_those_that_were_tried(tmp_path: Path) -> None:
    def status(_group: str, seed: int, scale: float, _epoch: int) -> Status:
        return Status.MISSING if (seed, scale) == (0, 10.0) else Status.FAILED if seed else Status.OK

    results = read(tmp_path, Sweep(seeds=(0, 1), without=("history",), status=status))
    assert list_runs(results) == [(0, 1.0), (1, 1.0), (1, 10.0)]
    failed = find_evidence(results, "probes/strange/height", (1, 1.0))
    assert np.isnan(failed.value)
    assert failed.epoch is None


def test_words() -> None:
    assert [say_list(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert say_ranges([3, 1, 2]) == "1, 2 and 3"
    assert say_ranges(range(20)) == "0, 1, 2, 3, 4, 5, 6, 7 and 12 more"
