from grokprobe.interfaces import Requirement, Subject
from grokprobe.probes.weight_tensors import select_weights

SHAPES = {"conv.weight": (2, 3, 2, 2), "conv.bias": (2,), "basis": (4, 4), "scale": ()}


def subject_of(shapes, *constant):
    available = frozenset({Requirement.WEIGHTS})
    return Subject(task=None, shapes=shapes, constant=frozenset(constant), available=available)


def test_weights_have_two_axes_and_change():
    selection = select_weights(subject_of(SHAPES, "basis", "conv.bias"))
    assert selection.parameters == ("conv.weight",)
    assert selection.notices == ("basis is left out: constant along the run, so not a weight",)
    assert selection.reason == ""


def test_vectors_count_on_request_and_scalars_never():
    assert select_weights(subject_of(SHAPES), biases=True).parameters == ("conv.weight", "conv.bias", "basis")


def test_nothing_left_is_a_reason_and_no_notice():
    selection = select_weights(subject_of({"basis": (4, 4), "b": (2,)}, "basis"))
    assert selection.notices == ()
    assert selection.reason.startswith("no weight has two or more axes; basis is left out")
    assert select_weights(subject_of({"scale": ()}), biases=True).reason == "no parameter has an axis"
