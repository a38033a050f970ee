import numpy as np
import pytest
import torch

from grokprobe.interfaces import Requirement, Subject
from grokprobe.probes.steps import StepsOptions, StepsProbe
from grokprobe.testing import FixedContext, check_probe
from reference import steps as reference

SHAPES = {"conv.weight": (2, 3, 2, 2), "conv.bias": (2,), "out": (4, 5)}
COSINES = ("previous_cosine", "initial_cosine", "step_cosine")


def parameters_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def context_of(**checkpoints):
    given = {"parameters": parameters_of(0), "previous": parameters_of(1), "next": parameters_of(2)}
    return FixedContext(**({"first": parameters_of(3)} | given | checkpoints))


def measure(options=None, **checkpoints):
    return check_probe(StepsProbe(), context_of(**checkpoints), options)


def difference(one, other):
    return (one.double() - other.double()).flatten().tolist()


def test_agrees_with_loops_on_layers_and_network():
    measurement = measure()
    assert measurement.coordinates["layer"].values.tolist() == ["conv", "out"]
    assert measurement.coordinates["decile"].values.tolist() == list(range(1, 11))
    here, before, after, first = (parameters_of(seed) for seed in range(4))
    for position, names in enumerate([["conv.weight"], ["out"], ["conv.weight", "out"]]):
        here_, before_, after_, first_ = (
            torch.cat([parameters[name].flatten() for name in names]).double()
            for parameters in (here, before, after, first)
        )
        expected = {
            "previous_cosine": reference.cosine(here_.tolist(), before_.tolist()),
            "initial_cosine": reference.cosine(here_.tolist(), first_.tolist()),
            "step_cosine": reference.cosine(difference(here_, before_), difference(after_, here_)),
            "decile_change": reference.decile_changes(here_.tolist(), before_.tolist(), "decile"),
        }
        for name, value in expected.items():
            stored = measurement.values
            found = stored[f"network_{name}"] if position == 2 else stored[name][position]
            np.testing.assert_allclose(found, value, rtol=1e-9)


def test_authors_variant_has_their_relative_change():
    values = measure(StepsOptions(**StepsProbe.variants["authors"])).values
    here, before = (parameters_of(seed)["out"].flatten().double().tolist() for seed in (0, 1))
    np.testing.assert_allclose(values["decile_change"][1], reference.decile_changes(here, before, "weight"))


def test_biases_are_layers_on_request():
    measurement = measure(StepsOptions(biases=True))
    assert measurement.coordinates["layer"].values.tolist() == ["conv", "conv.bias", "out"]


@pytest.mark.parametrize(
    ("missing", "undefined"),
    [("previous", {"previous_cosine", "step_cosine", "decile_change"}), ("next", {"step_cosine"})],
)
def test_undefined_at_the_ends_of_the_run(missing, undefined):
    values = measure(**{missing: None}).values
    for name in (*COSINES, "decile_change"):
        for stored in (values[name], values[f"network_{name}"]):
            assert np.isnan(stored).all() == np.isnan(stored).any() == (name in undefined), name


def test_a_straight_line_has_cosine_one_and_a_return_minus_one():
    start, direction = parameters_of(0), parameters_of(1)
    moved = [{name: start[name] + t * direction[name] for name in start} for t in (0, 1, 2)]
    ahead = measure(previous=moved[0], parameters=moved[1], next=moved[2]).values
    np.testing.assert_allclose(ahead["network_step_cosine"], 1, atol=1e-6)
    back = measure(previous=moved[0], parameters=moved[1], next=moved[0]).values
    np.testing.assert_allclose(back["step_cosine"], -1, atol=1e-12)


def test_a_step_of_rounding_has_no_direction():
    here = parameters_of(0)
    after = {name: torch.nextafter(tensor, torch.tensor(torch.inf)) for name, tensor in here.items()}
    after["out"] = here["out"] * 1.001
    values = measure(parameters=here, next=after).values
    assert np.isnan(values["step_cosine"]).tolist() == [True, False]
    assert np.isfinite(values["network_step_cosine"])


def test_first_checkpoint_is_parallel_to_itself():
    np.testing.assert_allclose(measure(first=parameters_of(0)).values["initial_cosine"], 1)


def test_without_a_weight_it_does_not_apply():
    needs = frozenset({Requirement.WEIGHTS, Requirement.NEIGHBOURS, Requirement.INITIAL})
    subject = Subject(task=None, shapes={"b": (3,), "w": (2, 2)}, constant=frozenset({"w"}), available=needs)
    reason = StepsProbe().applies(subject, StepsOptions()).reason
    assert reason == "no weight has two or more axes; w is left out: constant along the run, so not a weight"
    assert StepsProbe().applies(subject, StepsOptions(biases=True)).reason == ""
