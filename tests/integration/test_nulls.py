"""A trained network read against copies of itself that have learned nothing."""

import numpy as np
import pytest
import xarray as xr

import grokprobe
from program import grokprobe as run_program

SETTINGS = {
    "task.p": 11,
    "task.train_fraction": 0.8,
    "model.hidden": 32,
    "optimizer.weight_decay": 3e-3,
    "schedule.checkpoints": '["0", "every 300"]',
}
#: A Hessian of few products.
HESSIAN = ("hessian.num_iterations=6", "hessian.num_probes=4", "hessian.num_eigenvalues=2")


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    directory = tmp_path_factory.mktemp("nulls")
    flags = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    runs = directory / "runs"
    command = ("train", "modular_addition/demo", *flags, "--init-scales", "1", "--epochs", "300", "--jobs", "1")
    outcome = run_program(*command, "--out", runs)
    assert outcome.returncode == 0, outcome.stderr
    labels = ["fourier", "fourier@null", "fourier@null-reinitialised", "fourier@null-fft", "hessian", "steps@null"]
    settings = [*HESSIAN, "fourier@null.num_draws=4", "fourier@null-fft.basis=fft"]
    out = directory / "results.zarr"
    report = grokprobe.analyze(runs, probes=labels, settings=settings, out=out, name="one")
    assert report.exit_code == 0, report.failures
    assert report.experiments[0].not_applicable["probes/steps@null"].startswith("it looks at initial checkpoint")
    return grokprobe.open_results(out)["one/probes"]


def at_end(probes: xr.DataTree, label: str) -> xr.Dataset:
    return probes[label].to_dataset().isel(seed=0, init_scale=0, epoch=-1).load()


def test_draws_are_a_dimension(probes: xr.DataTree) -> None:
    null, own = probes["fourier@null"], probes["fourier"]
    assert null.ipr.dims == ("seed", "init_scale", "epoch", "draw", "neuron")
    assert null.draw.to_numpy().tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(null.neuron_layer, own.neuron_layer)
    assert null.attrs["options"]["copies"] == "permuted"
    assert null.attrs["measure"] == "fourier@null"
    assert probes["fourier@null-reinitialised"].attrs["options"]["copies"] == "reinitialised"
    assert probes["fourier@null-fft"].attrs["options"]["basis"] == "fft"
    assert "steps@null" not in probes.children


def test_training_concentrates_the_weights_beyond_chance(probes: xr.DataTree) -> None:
    trained = at_end(probes, "fourier").ipr_mean
    permuted = at_end(probes, "fourier@null").ipr_mean
    fresh = at_end(probes, "fourier@null-reinitialised").ipr_mean
    assert (trained > 1.5 * permuted.max("draw")).all()
    assert (trained > 1.5 * fresh.max("draw")).all()
    before = probes["fourier"].ipr_mean.isel(seed=0, init_scale=0, epoch=0)
    assert (abs(before - fresh.mean("draw")) < 5 * fresh.std("draw", ddof=1)).all()  # training starts at chance


def test_copies_differ_between_draws_and_epochs(probes: xr.DataTree) -> None:
    ipr = probes["fourier@null"].ipr_mean.isel(seed=0, init_scale=0, layer=0).to_numpy()
    assert len(np.unique(ipr)) == ipr.size


def test_a_hessian_is_measured(probes: xr.DataTree) -> None:
    hessian = at_end(probes, "hessian")
    assert (hessian.eigenvalue[0] > hessian.eigenvalue[1]).item()
    assert float(hessian.trace_error) > 0
    assert hessian.eigenvalue.attrs["units"] == "nat/weight^2"
