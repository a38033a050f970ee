import torch
from torch import nn

from grokprobe.interfaces import Samples
from grokprobe.probes import layer_outputs
from grokprobe.probes.layer_outputs import iterate_layer_outputs, layer_coordinate
from grokprobe.testing import FixedContext
from unit.probes.representation_networks import SAMPLES, Convolution, layers_of, parameters_of


def test_batches_of_every_checkpoint_make_up_the_layers(monkeypatch):
    monkeypatch.setattr(layer_outputs, "EVALUATION_BATCH", 25)
    network = Convolution()
    checkpoints = [parameters_of(network, seed) for seed in (1, 2)]
    context = FixedContext(parameters=checkpoints[0], model=network, test_samples=SAMPLES)
    batches = list(iterate_layer_outputs(context, checkpoints))
    assert [len(batch["conv"][0]) for batch in batches] == [25, 25, 10]
    for place, parameters in enumerate(checkpoints):
        for label, expected in zip(("conv", "output"), layers_of(network, parameters), strict=True):
            found = torch.cat([batch[label][place] for batch in batches]).double()
            torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, inputs):
        return self.layer(self.layer(inputs))


def test_a_layer_that_is_used_again_is_one_more():
    network = Twice()
    samples = Samples(inputs=torch.ones(2, 3), targets=torch.zeros(2))
    context = FixedContext(parameters=parameters_of(network, 1), model=network, test_samples=samples)
    (batch,) = iterate_layer_outputs(context, [context.parameters])
    assert layer_coordinate(list(batch)).values.tolist() == ["layer", "layer#2"]
