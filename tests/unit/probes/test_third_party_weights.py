from pathlib import Path

import numpy as np
import pytest
import torch

from grokprobe.probes.fourier import FourierOptions, FourierProbe
from grokprobe.testing import FixedContext, check_probe
from reference import fourier as reference

THIRD_PARTY = Path(__file__).parents[3].parent / "shared" / "data" / "third-party"


@pytest.fixture(params=["0.pth", "final.pth"])
def parameters(request):
    paths = sorted(THIRD_PARTY.glob(f"p_23*/{request.param}")) if THIRD_PARTY.is_dir() else []
    if not paths:
        pytest.skip("no shared data")
    return torch.load(paths[0], weights_only=True, map_location="cpu")["model"]


def test_ipr_of_a_strangers_network_agrees_with_explicit_sums(parameters):
    context = FixedContext(parameters=parameters, constant=frozenset({"mlp.basis"}))
    measurement = check_probe(FourierProbe(), context, FourierOptions(period=23, dead_threshold=0.0))
    assert measurement.coordinates["layer"].values.tolist() == ["mlp.W_in", "mlp.W_out"]
    neurons = torch.cat([parameters["mlp.W_in"], parameters["mlp.W_out"].T]).double().tolist()
    alive = [any(neuron) for neuron in neurons]
    expected = [
        reference.ipr(reference.folded_powers(neuron)) if is_alive else np.nan
        for neuron, is_alive in zip(neurons, alive, strict=True)
    ]
    assert any(alive)
    np.testing.assert_allclose(measurement.values["ipr"], expected, rtol=0, atol=1e-6)
