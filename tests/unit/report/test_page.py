import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from grokprobe.cli import main
from grokprobe.plots import ExperimentResults, read_experiments
from grokprobe.report import build_report
from grokprobe.status import Status
from unit.made_results import Sweep, write_results
from unit.report.page_contents import Page

#: Groups that take most of the time.
LEAN = ("compressors/magnitude", "geometry/fisher", "probes/energy", "probes/fourier")
HOSTILE = "</script><script>alert(1)</script>"


def fails(group: str, seed: int, _scale: float, epoch: int) -> Status:
    return Status.FAILED if group == "probes/strange" and seed == 1 and epoch > 10 else Status.OK


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = Sweep(
        seeds=(0, 1),
        epochs=(0, 10, 20, 30, 40),
        status=fails,
        error=f"ValueError: {HOSTILE}",
        without=("geometry/fisher",),
    )
    return write_results(tmp_path_factory.mktemp("made") / "r.zarr", sweep)


@pytest.fixture(scope="module")
def made(store: Path) -> ExperimentResults:
    (results,) = read_experiments(store)
    return results


@pytest.fixture(scope="module")
def source(store: Path) -> str:
    result = CliRunner().invoke(
        main, ["report", str(store), "--out", str(store.parent / "out" / "page.html"), "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    content = Path(report["report"]).read_bytes()
    assert len(content) == report["bytes"]
    return content.decode()


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_it_needs_nothing_else(page: Page, source: str) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "base", "form"}
        for name in ("src", "href", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/")), f"{tag} {name}={value[:60]}"
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket", source.replace("data:", ""))
    (policy,) = [m["content"] or "" for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_what_stands_in_the_store_is_never_markup(page: Page) -> None:
    executable = [attributes for attributes in page.all("script") if "type" not in attributes]
    assert len(executable) == 1
    assert HOSTILE in page.text
    assert "<b>Made</b> height." in page.text
    assert not page.all("b")


def test_every_section_can_be_reached(page: Page) -> None:
    targets = {(attributes.get("href") or "")[1:] for attributes in page.all("a")}
    assert {"verdicts", "epochs", "figures", "analyzed", "problems", "provenance"} <= targets
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert targets <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))
    assert all(image.get("alt") for image in page.all("img"))
    assert page.all("noscript")


def test_verdicts_failures_and_provenance_are_said(page: Page) -> None:
    assert "made has 4 runs: 2 grok, 2 learn steadily." in page.text
    assert f"6 failed: made/probes/strange ValueError: {HOSTILE}" in page.text
    assert "seed 1, init_scale 10: epoch 20, 30 and 40" in page.text
    assert "made-plugin 2.0" in page.text
    assert "grokprobe analyze CHECKPOINTS --out r.zarr --probes energy,fourier,strange" in page.text
    assert "--set strange.depth=3" in page.text
    assert "strange.limit" not in page.text
    assert 'task.name="made"' in page.text


def test_measures_of_no_installed_plugin_have_figures(page: Page) -> None:
    captions = {image.get("alt") for image in page.all("img")}
    assert "<b>Made</b> height." in captions
    assert all(int(image["width"] or 0) > 100 for image in page.all("img"))


def test_slider_has_the_numbers_of_the_store(page: Page, made: ExperimentResults) -> None:
    (experiment,) = page.index
    assert experiment["epochs"] == [0, 10, 20, 30, 40]
    runs = [(0, 1.0), (1, 1.0), (0, 10.0), (1, 10.0)]
    assert [run["label"] for run in experiment["runs"]] == [
        f"init_scale {scale:g}, seed {seed}" for seed, scale in runs
    ]
    assert experiment["second"] == 2
    history = made.groups["history"]
    accuracy = next(curve for curve in experiment["curves"] if curve["title"] == "accuracy")
    row = next(row for row in experiment["rows"] if row["label"] == "compressors/magnitude/compressibility")
    profile = next(panel for panel in experiment["panels"] if panel["title"] == "accuracy, magnitude")
    scatter = next(panel for panel in experiment["panels"] if panel["title"] == "neurons, fourier, input")
    for place, (seed, scale) in enumerate(runs):
        at = {"seed": seed, "init_scale": scale}
        compressor, fourier = made.groups["compressors/magnitude"].sel(at), made.groups["probes/fourier"].sel(at)
        shown = page.numbers(accuracy["arrays"][1]).reshape(4, 5)[place]
        assert shown == pytest.approx(history.test_accuracy.sel(at).to_numpy(), rel=1e-6)
        shown = page.numbers(row["arrays"][0]).reshape(4, 5)[place]
        assert shown == pytest.approx(compressor.compressibility.to_numpy(), rel=1e-6)
        shown = page.numbers(profile["arrays"][0]).reshape(4, 5, 11)[place]
        assert shown == pytest.approx(compressor.accuracy.to_numpy(), abs=1e-5)
        shown = page.numbers(scatter["arrays"][1]).reshape(4, 5, 6)[place]
        assert shown == pytest.approx(fourier.ipr.isel(neuron=slice(6)).to_numpy(), abs=1 / 500)


def test_bars_are_shares_of_the_power_of_a_layer(page: Page, made: ExperimentResults) -> None:
    panel = next(panel for panel in page.index[0]["panels"] if panel["title"] == "spectrum, fourier, output")
    shares = page.numbers(panel["arrays"][0]).reshape(4, 5, 5)
    assert shares.sum(axis=2) == pytest.approx(np.ones((4, 5)), abs=1e-4)
    powers = made.groups["probes/fourier"].spectrum.sel(seed=0, init_scale=1.0).isel(neuron=slice(6, None))
    expected = powers.sum("neuron") / powers.sum(["neuron", "frequency"])
    assert shares[0] == pytest.approx(expected.to_numpy(), abs=1e-4)


def test_equal_stores_give_equal_pages(tmp_path: Path) -> None:
    sweep = Sweep(seeds=(0, 1), scales=(1.0,), without=(*LEAN, "history"))
    pages = [build_report(write_results(tmp_path / copy / "r.zarr", sweep)) for copy in "ab"]
    assert hashlib.sha256(pages[0].encode()).digest() == hashlib.sha256(pages[1].encode()).digest()


def test_definitions_of_many_runs_stand_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grokprobe.report.page.MAX_DEFINED", 1)
    sweep = Sweep(seeds=(0,), epochs=(0, 9), without=(*LEAN, "history"))
    page = Page(build_report(write_results(tmp_path / "r.zarr", sweep)))
    links = {attributes["href"] for attributes in page.all("a")}
    assert "#made/probes/strange/height" in links
    assert page.text.count("<b>Made</b> height. nobody") == 1
    identifiers = {attributes.get("id") for attributes in page.all("dt")}
    assert {link[1:] for link in links if link and link.startswith("#made/")} == identifiers


def test_a_copy_without_its_ledger_still_says_what_failed(tmp_path: Path) -> None:
    store = write_results(tmp_path / "r.zarr", Sweep(seeds=(0, 1), status=fails, without=(*LEAN, "history")))
    shutil.rmtree(store / ".grokprobe")
    assert "the reason is not recorded in this copy of the store" in Page(build_report(store)).text
