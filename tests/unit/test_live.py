from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import grokprobe
from grokprobe.errors import UsageError
from grokprobe.interfaces import Context, Requirement
from grokprobe.plugins import load_plugins
from grokprobe.progress import SilentProgress
from unit.foreign_network import TASK, build_network, write_foreign_run
from unit.made_probes import MadeProbe, install_plugin


def install(monkeypatch: pytest.MonkeyPatch, *probes: MadeProbe) -> None:
    install_plugin(monkeypatch, "live_plugin", *probes)
    monkeypatch.setenv("GROKPROBE_PLUGINS", "live_plugin")
    load_plugins.cache_clear()


def test_equal_to_what_analyze_measures_of_the_file(tmp_path: Path) -> None:
    write_foreign_run(tmp_path / "run", [10])
    probes, settings = ["fourier", "weights"], ["fourier.period=5"]
    grokprobe.analyze(tmp_path / "run", out=tmp_path / "r.zarr", probes=probes, settings=settings, name="one")
    live = grokprobe.measure(torch.nn.ModuleDict({"model": build_network(10)}), probes=probes, settings=settings)
    for name in probes:
        stored = grokprobe.open_results(tmp_path / "r.zarr")[f"one/probes/{name}"].to_dataset().load()
        stored = stored.drop_vars(["status", "checkpoint_digest"]).isel(seed=0, init_scale=0, epoch=0, drop=True)
        xr.testing.assert_allclose(live[f"probes/{name}"].to_dataset(), stored, rtol=1e-12)


def test_one_group_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["fourier.period=5", "fourier@fft.period=5", "fourier@fft.basis=fft"]
    tree = grokprobe.measure(build_network(0), probes=["fourier", "fourier@fft"], settings=settings)
    assert set(tree["probes"].children) == {"fourier", "fourier@fft"}
    assert not np.allclose(tree["probes/fourier/ipr"], tree["probes/fourier@fft/ipr"])


def test_probes_get_model_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(context: Context) -> float:
        outputs = context.apply(context.parameters, context.train.inputs)
        return float(context.subject.task.loss(outputs, context.train.targets)) + len(context.test)

    needs = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT})
    install(monkeypatch, MadeProbe("data", measure, requires=needs))
    population, network = TASK.population(SilentProgress()), build_network(3)
    train, test = population.at(torch.arange(10)), population.at(torch.arange(10, 14))
    tree = grokprobe.measure(network, probes=["data"], task=TASK, train=train, test=test)
    expected = float(TASK.loss(network(train.inputs).detach(), train.targets)) + 4
    assert tree["probes/data/value"].item() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(UsageError, match="probes/data does not apply here: it needs test split, train split"):
        grokprobe.measure(network, probes=["data"])


def test_measured_in_evaluation_mode_which_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    modes: list[bool] = []

    def measure(context: Context) -> float:
        modes.append(model.training)
        if raises:
            raise ZeroDivisionError
        return context.apply(context.parameters, torch.ones(1, 3)).sum().item()

    raises: list[bool] = []
    install(monkeypatch, MadeProbe("mode", measure, requires=frozenset({Requirement.MODEL})))
    for is_training in (True, False):
        model.train(is_training)
        first, second = (grokprobe.measure(model, probes=["mode"])["probes/mode/value"].item() for _ in range(2))
        assert first == second
        assert model.training == is_training
    raises.append(True)
    model.train()
    with pytest.raises(ZeroDivisionError):
        grokprobe.measure(model, probes=["mode"])
    assert model.training
    assert not any(modes)


def test_neighbours_and_an_end_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(context: Context) -> float:
        raise AssertionError("measured although it does not apply")

    requires = frozenset({Requirement.NEIGHBOURS, Requirement.FINAL})
    install(monkeypatch, MadeProbe("path", never, requires=requires))
    with pytest.raises(UsageError, match="probes/path does not apply here: it needs final checkpoint, neighbours"):
        grokprobe.measure(build_network(0), probes=["path"])


def test_parameters_that_are_shared_within_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    model = torch.nn.Sequential(first, second)

    def measure(context: Context) -> float:
        return context.apply(context.parameters, torch.ones(1, 3)).sum().item()

    install(monkeypatch, MadeProbe("tied", measure, requires=frozenset({Requirement.MODEL})))
    tree = grokprobe.measure(model, probes=["tied"])
    assert tree["probes/tied/value"].item() == pytest.approx(model(torch.ones(1, 3)).sum().item(), rel=1e-6)


@pytest.mark.parametrize("setting", ["furier.period=5", "fourier.periode=5", "task.p=5"])
def test_a_setting_of_nothing_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=setting.partition(".")[0]):
        grokprobe.measure(build_network(0), probes=["fourier"], settings=["fourier.period=5", setting])


def test_an_unknown_probe_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'fourier'"):
        grokprobe.measure(build_network(0), probes=["furier"])


def test_a_probe_that_does_not_apply_says_why() -> None:
    with pytest.raises(UsageError, match="probes/fourier does not apply here: "):
        grokprobe.measure(torch.nn.Linear(3, 2), probes=["fourier"])
