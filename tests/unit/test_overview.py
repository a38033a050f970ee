import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import grokprobe
from grokprobe.cli import main
from grokprobe.interfaces import Context
from grokprobe.overview import ExperimentOverview, describe_results
from grokprobe.variables import Coordinate, Measurement, VariableSpec
from unit.foreign_network import SETTINGS, write_foreign_run
from unit.made_probes import MadeProbe, install_plugin
from unit.training.small_sweep import train_small


def spec(name: str, **given: Any) -> VariableSpec:
    return VariableSpec(name=name, description="A number.", reference="grokprobe", headline=True, **given)


class Bench:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.monkeypatch, self.out = root, monkeypatch, root / "r.zarr"
        for seed in (0, 1):
            write_foreign_run(root / "runs" / str(seed), [0, 10], seed)

    def describe(self, *probes: MadeProbe, **options: Any) -> ExperimentOverview:
        selection = install_plugin(self.monkeypatch, "bench_plugin", *probes)
        chosen = {"probes": [probe.name for probe in probes], "layout": "{seed}/{epoch}.pt", "name": "foreign"}
        grokprobe.analyze(self.root / "runs", out=self.out, plugins=selection, **chosen | options)
        (overview,) = describe_results(self.out)
        return overview

    def info(self, *options: str) -> Any:
        return CliRunner().invoke(main, ["info", str(self.out), *options], catch_exceptions=False)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_groups_with_their_counts(bench: Bench) -> None:
    def failing(context: Context) -> float:
        if context.epoch == 10 and context.run.seed == 1:
            raise ValueError
        return 1.0

    (group,) = bench.describe(MadeProbe("bad", failing)).groups
    assert (group.path, group.shape, group.counts) == ("foreign/probes/bad", (2, 1, 2), {"ok": 3, "failed": 1})


def test_headlines_at_the_last_epoch(bench: Bench) -> None:
    probe = MadeProbe("end", lambda context: 100 * context.run.seed + context.epoch, specs=(spec("value"),))
    overview = bench.describe(probe)
    assert (overview.name, overview.columns) == ("foreign", ("end/value",))
    assert overview.rows == {(0, 1.0): (10.0,), (1, 1.0): (110.0,)}


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_headlines_of_a_run_whose_last_result_failed(bench: Bench, dtype: Any) -> None:
    def failing(context: Context) -> Measurement:
        if context.epoch == 10 and context.run.seed == 1:
            raise ValueError
        return Measurement(values={"value": np.array(3 + context.epoch)}, coordinates={})

    overview = bench.describe(MadeProbe("bad", failing, specs=(spec("value", dtype=dtype),)))
    assert overview.rows == {(0, 1.0): (13.0,), (1, 1.0): (3.0,)}


def by_label(dim: str, labels: list[str]) -> Any:
    def measure(context: Context) -> Measurement:
        values = np.arange(float(len(labels))) + context.epoch
        coordinates = {dim: Coordinate(dim=dim, values=np.array(labels))}
        return Measurement(values={"value": values}, coordinates=coordinates)

    return measure


def test_one_column_a_layer(bench: Bench) -> None:
    probe = MadeProbe("layers", by_label("layer", ["in", "out"]), specs=(spec("value", dims=("layer",)),))
    overview = bench.describe(probe)
    assert overview.columns == ("layers/value[in]", "layers/value[out]")
    assert overview.rows[0, 1.0] == (10.0, 11.0)


def test_headlines_over_other_dimensions_do_no_harm(bench: Bench) -> None:
    probe = MadeProbe("parts", by_label("part", ["left", "right"]), specs=(spec("value", dims=("part",)),))
    assert bench.describe(probe).rows.keys() == {(0, 1.0), (1, 1.0)}


def test_two_measures_with_one_variable_have_two_columns(bench: Bench) -> None:
    one = MadeProbe("one", lambda context: 1.0, specs=(spec("value"),))
    two = MadeProbe("two", lambda context: 2.0, specs=(spec("value"),))
    overview = bench.describe(one, two)
    assert len(overview.columns) == 2
    assert sorted(overview.rows[0, 1.0]) == [1.0, 2.0]


def test_the_summary_stands_first(bench: Bench) -> None:
    measurement = Measurement(values={"a_value": np.array(1.0)}, coordinates={})
    probe = MadeProbe("end", lambda context: measurement, specs=(spec("a_value"),))
    overview = bench.describe(probe, task="modular_addition", settings=(*SETTINGS, "task.split=seed:0"))
    assert overview.columns[:4] == ("train_epoch", "test_epoch", "groks", "groks_margin")
    assert overview.columns[4:] == ("final_test_accuracy", "end/a_value")
    assert [group.path for group in overview.groups] == ["foreign/history", "foreign/probes/end"]


@pytest.mark.parametrize(
    ("value", "shown"), [(math.nan, "undefined"), (2.0, "2"), (0.1234567, "0.123"), (math.inf, "inf")]
)
def test_info_shows_a_row_a_run(bench: Bench, value: float, shown: str) -> None:
    bench.describe(MadeProbe("one", lambda context: value, specs=(spec("value"),)))
    result = bench.info()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["seed", "init_scale", "one/value"] in lines
    assert ["0", "1", shown] in lines
    assert ["1", "1", shown] in lines
    assert "  probes/one: 2 seeds x 1 init_scales x 2 epochs: 4 ok" in result.stdout


def test_info_as_json_is_json(bench: Bench) -> None:
    bench.describe(MadeProbe("one", lambda context: math.nan, specs=(spec("value"),)))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    (experiment,) = json.loads(bench.info("--json").stdout, parse_constant=refuse)
    assert experiment["name"] == "foreign"
    assert [row["seed"] for row in experiment["rows"]] == [0, 1]


def test_a_sweep_with_holes(tmp_path: Path) -> None:
    train_small(tmp_path / "runs", {"sweep.seeds": "0-1"})
    holes = [path for path in sorted((tmp_path / "runs").rglob("run.json")) if _is(path, 1, 3.0)]
    (hole,) = holes
    for path in hole.parent.iterdir():
        path.unlink()
    report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", probes=["weights"])
    assert report.exit_code == 0
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    ((name, node),) = tree.children.items()
    for group in ("probes/weights", "history", "summary"):
        status = node[group].status.sel(seed=1, init_scale=3.0).to_numpy()
        assert (status == 0).all(), f"{name}/{group}: a run that never was is missing, not undefined"
        assert (node[group].status.sel(seed=0).to_numpy() == 1).all()


def test_a_native_run_without_a_history(tmp_path: Path) -> None:
    train_small(tmp_path / "runs")
    for path in (tmp_path / "runs").rglob("history.jsonl"):
        path.unlink()
    report = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", probes=["weights"])
    assert report.exit_code == 0
    (overview,) = describe_results(tmp_path / "r.zarr")
    assert len(overview.rows) == 2


def test_a_recorded_history_is_what_training_wrote(tmp_path: Path) -> None:
    train_small(tmp_path / "runs")
    grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", probes=["weights"])
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    (node,) = tree.children.values()
    history = node["history"]
    assert history.attrs["source"] == "recorded during training"
    for path in (tmp_path / "runs").rglob("run.json"):
        manifest = json.loads(path.read_text())
        run = history.to_dataset().sel(seed=manifest["seed"], init_scale=manifest["init_scale"])
        rows = [json.loads(line) for line in (path.parent / "history.jsonl").read_text().splitlines()]
        for row in rows:
            for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
                assert run[name].sel(epoch=row["epoch"]).item() == row[name]
        assert (run.status == 1).all()


def _is(path: Path, seed: int, init_scale: float) -> bool:
    manifest = json.loads(path.read_text())
    return (manifest["seed"], manifest["init_scale"]) == (seed, init_scale)
