import pytest
import torch
from torch import nn

from grokprobe.interfaces import Requirement, Samples
from grokprobe.testing import ConformanceError, FixedContext
from unit.testing.miniature import NoOptions, build_context

SAMPLES = Samples(inputs=torch.eye(3), targets=torch.arange(3))
OTHERS = {"weight": torch.zeros(3, 3), "bias": torch.ones(3)}


def full_context():
    return build_context(
        model=nn.Linear(3, 3),
        train_samples=SAMPLES,
        test_samples=SAMPLES,
        previous=OTHERS,
        next=OTHERS,
        first=OTHERS,
        last=OTHERS,
        other=OTHERS,
        constant=frozenset({"bias"}),
    )


def test_subject_says_what_was_given():
    assert build_context().subject.available == {Requirement.WEIGHTS}
    subject = full_context().subject
    assert subject.available == set(Requirement)
    assert subject.shapes == {"weight": (3, 3), "bias": (3,)}
    assert subject.constant == {"bias"}


def test_gives_back_what_was_given():
    context = full_context()
    assert context.train is context.test is SAMPLES
    assert context.initial is context.final is context.previous is context.next is context.reference is OTHERS
    assert context.at(OTHERS).parameters is OTHERS
    assert (context.neighbour(1), context.neighbour_epoch(-1), context.neighbour(2)) == (OTHERS, -1, None)
    assert context.device == torch.device("cpu")


@pytest.mark.parametrize("access", ["train", "test", "initial", "final", "reference"])
def test_what_was_not_given_is_refused(access):
    with pytest.raises(ConformanceError, match="declare it in `requires`"):
        getattr(build_context(), access)


def test_without_a_model_nothing_is_applied():
    with pytest.raises(ConformanceError, match="MODEL is used"):
        build_context().apply(OTHERS, SAMPLES.inputs)


def test_applies_the_model_in_evaluation_mode_at_the_parameters_given():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train()
    parameters = {"0.weight": torch.eye(3), "0.bias": torch.ones(3)}
    context = FixedContext(parameters=parameters, model=model)
    assert context.apply(parameters, SAMPLES.inputs).tolist() == (torch.eye(3) + 1).tolist()


def test_generator_is_fresh_at_every_access():
    context = build_context()
    assert torch.rand(1, generator=context.generator) == torch.rand(1, generator=context.generator)


def test_without_requirements_only_the_weights_remain():
    bare = full_context().with_requirements(frozenset({Requirement.WEIGHTS}))
    assert bare.subject.available == {Requirement.WEIGHTS}
    assert bare.previous is None
    kept = full_context().with_requirements(frozenset({Requirement.FINAL, Requirement.TEST_SPLIT}))
    assert kept.subject.available == {Requirement.WEIGHTS, Requirement.FINAL, Requirement.TEST_SPLIT}


def test_another_checkpoint_has_the_same_subject_and_other_values():
    context = build_context(options=NoOptions())
    other = context.at_other_parameters()
    assert other.subject == context.subject
    assert other.options == context.options
    assert all(not torch.equal(other.parameters[name], tensor) for name, tensor in context.parameters.items())
