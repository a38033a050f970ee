"""Trees that invite mistakes: hostile manifests, copies, unknown seeds, several state dicts, damaged histories."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import grokprobe
from grokprobe.analysis_report import AnalysisReport
from grokprobe.errors import StoreError, UsageError
from grokprobe.store import ResultsStore
from program import grokprobe as run_program
from strangers import stranger_parameters

PERIOD = ("fourier.period=5",)
SMALL = ("--set", "task.p=5", "--set", "model.hidden=6", "--epochs", "4", "--jobs", "1")


def save(path: Path, epoch: int, **wrapped: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {key: stranger_parameters(5, 6, epoch=number) for key, number in wrapped.items()}
    torch.save(content or stranger_parameters(5, 6, epoch=epoch), path)


def num_new(report: AnalysisReport) -> int:
    return report.experiments[0].measured["probes/weights"][1]


@pytest.mark.parametrize("source", ["manifest", "native"])
def test_a_task_named_in_a_file_is_never_run(tmp_path: Path, source: str) -> None:
    canary = tmp_path / "canary"
    save(tmp_path / "runs" / "0.pt", 0)
    code = tmp_path / "evil.py"
    code.write_text(f"open({str(canary)!r}, 'w')\nclass T: pass\n")
    if source == "manifest":
        (tmp_path / "runs" / "grokprobe.toml").write_text(f'[task]\nname = "{code}:T"\n')
    else:
        assert run_program("train", "modular_addition/demo", *SMALL, "--out", tmp_path / "runs").returncode == 0
        for manifest in (tmp_path / "runs").rglob("run.json"):
            content = json.loads(manifest.read_text())
            content["parameters"]["task"]["name"] = f"{code}:T"
            manifest.write_text(json.dumps(content))
    if source == "manifest":
        with pytest.raises(UsageError, match="unknown task"):
            grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", probes=["weights"])
    else:
        report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", probes=["weights"], where=["p=5"])
        assert any("unknown task" in notice for notice in report.notices)
    assert not canary.exists()


def test_a_recipe_cannot_run_a_file_either(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass T: pass\n")
    (tmp_path / "r.toml").write_text(f'[task]\nname = "{tmp_path / "evil.py"}:T"\n')
    assert run_program("train", tmp_path / "r.toml", "--out", tmp_path / "out").returncode == 2
    assert not canary.exists()


def test_another_state_dict_of_the_same_files_is_another_experiment(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "0.pt", 0, net=1, ema=2)
    for key in ("net", "ema"):
        settings = (*PERIOD, f"run.state_dict={key}")
        assert num_new(grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", settings=settings)) == 1
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    norms = {name: tree[f"{name}/probes/weights/norm"].sel(layer="net.embed").item() for name in tree.children}
    for key, epoch in (("net", 1), ("ema", 2)):
        expected = torch.linalg.norm(stranger_parameters(5, 6, epoch=epoch)["net.embed"].double()).item()
        assert np.isclose(norms[f"checkpoints-state_dict={key}"], expected)


def test_a_run_keeps_the_number_it_was_given(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for epoch in range(3):
        save(runs / "b" / f"{epoch}.pt", epoch)
    grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=PERIOD)
    save(runs / "a" / "0.pt", 7)
    report = grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=PERIOD)
    assert num_new(report) == 1
    assert any("numbered" in notice for notice in report.notices)
    weights = grokprobe.open_results(tmp_path / "r.zarr")["checkpoints/probes/weights"]
    assert weights.status.to_numpy()[:, 0].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_buffer_seen_late_is_said_and_recompute_leaves_it_out(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    save(runs / "0.pt", 0)
    grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=PERIOD)
    save(runs / "1.pt", 1)
    report = grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=PERIOD)
    assert [notice for notice in report.notices if "net.basis is constant" in notice and "--recompute" in notice]
    assert (report.failures, num_new(report)) == ((), 1)
    report = grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=PERIOD, recompute=True)
    assert (report.failures, num_new(report)) == ((), 2)
    layers = grokprobe.open_results(tmp_path / "r.zarr")["checkpoints/probes/weights"].layer
    assert layers.to_numpy().tolist() == ["net.embed", "net.unembed"]


def test_a_damaged_history_costs_its_run_alone(tmp_path: Path) -> None:
    assert run_program("train", "modular_addition/demo", *SMALL, "--out", tmp_path / "runs").returncode == 0
    damaged, good = sorted((tmp_path / "runs").rglob("history.jsonl"))
    damaged.write_text("garbage\n" + damaged.read_text())
    report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr")
    (failure,) = report.failures
    assert "history.jsonl, line 1" in failure.reason
    (experiment,) = grokprobe.open_results(tmp_path / "r.zarr").children.values()
    assert (experiment["history/status"] == 1).any("epoch").to_numpy().tolist() == [[False, True]]
    assert (experiment["probes/weights/status"] == 1).all()
    assert good.exists()


def test_a_copy_of_a_native_run_is_refused_and_can_be_selected_away(tmp_path: Path) -> None:
    assert run_program("train", "modular_addition/demo", *SMALL, "--out", tmp_path / "runs").returncode == 0
    first = next((tmp_path / "runs").rglob("run.json")).parent
    shutil.copytree(first, first.with_name("copy"))
    with pytest.raises(UsageError, match=r"two runs on seed 0.*remove the copy"):
        grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr")
    assert not (tmp_path / "r.zarr").exists()
    report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", where=["directory=copy"])
    assert report.experiments[0].num_runs == 1


def test_selection_knows_what_was_assumed(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "0.pt", 0)
    options = {"out": tmp_path / "r.zarr", "settings": PERIOD}
    report = grokprobe.analyze(tmp_path / "runs", where=["init_scale=1", "seed=0"], **options)
    assert report.experiments[0].num_runs == 1
    with pytest.raises(UsageError, match="did you mean 'init_scale'"):
        grokprobe.analyze(tmp_path / "runs", where=["init_scal=1"], **options)


def test_the_plan_is_made_under_the_lock(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "0.pt", 0)
    with ResultsStore.open(tmp_path / "r.zarr"), pytest.raises(StoreError, match="being written by another process"):
        grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", settings=PERIOD)


def test_an_empty_log_is_no_failure(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "0.pt", 0)
    (tmp_path / "runs" / "stderr.log").touch()
    report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", settings=PERIOD)
    assert (report.exit_code, [file.path.name for file in report.skipped]) == (0, ["stderr.log"])
