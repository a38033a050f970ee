import math

import pytest
import torch

from grokprobe import evaluation
from grokprobe.evaluation import evaluate
from grokprobe.interfaces import Samples
from unit.testing.miniature import Doubling


def build_samples(num_samples: int) -> tuple[torch.nn.Module, Samples]:
    generator = torch.Generator().manual_seed(num_samples)
    inputs = torch.randn(num_samples, 3, generator=generator)
    targets = torch.randint(0, 3, (num_samples,), generator=generator)
    model = Doubling().build_model()
    Doubling().initialise(model, generator)
    return model, Samples(inputs=inputs, targets=targets)


@pytest.mark.parametrize("num_samples", [1, 3, 10, 17])
@pytest.mark.parametrize("batch", [1, 3, 5, 100])
def test_mean_over_all_samples_whatever_the_batches(
    monkeypatch: pytest.MonkeyPatch, num_samples: int, batch: int
) -> None:
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    model, samples = build_samples(num_samples)
    sizes = []

    def apply(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return model(inputs)

    found = evaluate(Doubling(), apply, samples)
    loss, num_correct = 0.0, 0
    for x, y in zip(samples.inputs.tolist(), samples.targets.tolist(), strict=True):
        logits = [
            math.fsum([b, *(w * v for w, v in zip(row, x, strict=True))])
            for row, b in zip(model.weight.tolist(), model.bias.tolist(), strict=True)
        ]
        loss += math.log(math.fsum(map(math.exp, logits))) - logits[y]
        num_correct += logits.index(max(logits)) == y
    assert found.loss == pytest.approx(loss / num_samples, rel=1e-6)
    assert found.accuracy == num_correct / num_samples
    assert sum(sizes) == num_samples
    assert max(sizes) <= batch


def test_no_samples_is_undefined() -> None:
    model, samples = build_samples(2)
    found = evaluate(Doubling(), model, samples.at(torch.arange(0)))
    assert math.isnan(found.loss)
    assert math.isnan(found.accuracy)


def test_no_gradient_is_kept() -> None:
    model, samples = build_samples(4)
    outputs = []
    evaluate(Doubling(), lambda inputs: outputs.append(model(inputs)) or outputs[-1], samples)
    assert not outputs[0].requires_grad
