from typing import Any

import pytest
import torch

from grokprobe.compressors.fisher import FisherCompressor, FisherOptions
from grokprobe.interfaces import Subject
from reference import compression as reference
from unit.compressors.compressed_networks import TRAIN, addition_context

WEIGHTS = ["input.weight", "output.weight"]


def diagonal(metric: str) -> dict[str, torch.Tensor]:
    """The mean over samples of squared gradients, of each log-probability or each logit, one at a time."""
    context: Any = addition_context()
    leaves = {name: tensor.double().requires_grad_() for name, tensor in context.parameters.items()}
    model = context.model.double()
    totals = {name: torch.zeros_like(leaves[name], requires_grad=False) for name in WEIGHTS}
    for sample in TRAIN.inputs.double():
        logits = torch.func.functional_call(model, leaves, (sample.unsqueeze(0),))[0]
        rows, shares = logits, torch.ones_like(logits)
        if metric == "exact":
            rows, shares = logits.log_softmax(0), logits.softmax(0).detach()
        for row, share in zip(rows, shares, strict=True):
            gradients = torch.autograd.grad(row, [leaves[name] for name in WEIGHTS], retain_graph=True)
            for name, gradient in zip(WEIGHTS, gradients, strict=True):
                totals[name] += share * gradient**2 / len(TRAIN)
    return totals


@pytest.mark.parametrize("metric", ["exact", "regression"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_removes_the_smallest_entries_of_the_diagonal(metric: str, scope: str) -> None:
    context, amount = addition_context(), 0.3
    options = FisherOptions(metric=metric, scope=scope)
    (parameters,) = FisherCompressor().compress(context.with_options(options), [amount])
    scores = {name: score.flatten().tolist() for name, score in diagonal(metric).items()}
    removed = {name: {*(parameters[name] == 0).flatten().nonzero().flatten().tolist()} for name in WEIGHTS}
    groups = [[name] for name in WEIGHTS] if scope == "layer" else [WEIGHTS]
    for group in groups:
        together = sorted(score for name in group for score in scores[name])
        count = reference.round_half_even(amount * len(together))
        assert sum(len(removed[name]) for name in group) == count
        threshold = together[count - 1]
        # as sets of values: entries that are equal but for rounding may go in either order
        assert all(scores[name][index] <= threshold * (1 + 1e-6) for name in group for index in removed[name])


def test_needs_a_task() -> None:
    known = addition_context().subject
    subject = Subject(task=None, shapes=known.shapes, constant=known.constant, available=known.available)
    assert FisherCompressor().applies(subject, FisherOptions()).reason == "no task says what the likelihood is"
    assert not FisherCompressor().applies(known, FisherOptions()).reason
