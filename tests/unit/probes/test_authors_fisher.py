"""The diagonals that the paper's authors stored, from the plain checkpoints of the same run."""

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from grokprobe.interfaces import Samples
from grokprobe.probes.fisher import FisherOptions, FisherProbe
from grokprobe.testing import FixedContext

AUTHORS = Path(__file__).parents[3].parent / "shared" / "data" / "authors-format" / "mod_add"


@pytest.fixture
def run():
    found = sorted(AUTHORS.glob("*/*/plain")) if AUTHORS.is_dir() else []
    if not found:
        pytest.skip("no shared data")
    return found[0].parent


def build_samples(split, name):
    p, pairs = split["p"], torch.tensor(split[name])
    inputs = torch.zeros(len(pairs), 2 * p)
    inputs.scatter_(1, torch.stack([pairs // p, p + pairs % p], dim=1), 1.0)
    return Samples(inputs=inputs, targets=(pairs // p + pairs % p) % p)


@pytest.mark.parametrize("epoch", range(12))
def test_authors_diagonal_is_that_of_the_first_test_samples_before_the_epoch(run, epoch):
    split = json.loads((run / "plain" / "split.json").read_text())
    parameters = torch.load(run / "plain" / f"epoch-{epoch:03d}.pt", weights_only=True)
    expected = torch.load(run / "fims" / f"epoch-{epoch}.pt", weights_only=True).double()
    hidden, num_inputs = parameters["model.0.weight"].shape
    layers = nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, split["p"]))
    context = FixedContext(
        parameters=parameters,
        options=FisherOptions(**FisherProbe.variants["authors"], diagonal=True),
        model=nn.Sequential(OrderedDict(model=layers)),
        train_samples=build_samples(split, "train_pairs"),
        test_samples=build_samples(split, "test_pairs"),
    )
    found = torch.from_numpy(FisherProbe().measure(context).values["diagonal"])
    assert expected.count_nonzero() > 10_000
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
