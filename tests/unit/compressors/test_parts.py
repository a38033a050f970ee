import pytest

from grokprobe.compressors.parts import BiasOptions, LayerOptions, PruningOptions, build_amounts, select_parts
from unit.compressors.compressed_networks import weights_context

WEIGHTS = {"conv": ("conv.weight",), "hidden": ("hidden.weight",), "head": ("head",)}
BUFFER = "buffer is left out: constant along the run, so not a weight"
SUBJECT = weights_context().subject


def test_layers_are_the_weight_tensors_that_change():
    for options in (LayerOptions(), BiasOptions(), PruningOptions()):
        selection = select_parts(SUBJECT, options)
        assert selection.parts == WEIGHTS
        assert selection.applicability.notices == (BUFFER,)
        assert not selection.applicability.reason


def test_biases_join_the_weight_of_their_module():
    parts = select_parts(SUBJECT, BiasOptions(biases=True)).parts
    assert parts == {
        "conv": ("conv.bias", "conv.weight"),
        "norm.scale": ("norm.scale",),
        "hidden": ("hidden.bias", "hidden.weight"),
        "head": ("head",),
    }


def test_last_layer_can_be_left_out_and_is_named():
    selection = select_parts(SUBJECT, LayerOptions(last_layer=False))
    assert selection.parts == {label: names for label, names in WEIGHTS.items() if label != "head"}
    assert selection.applicability.notices == (BUFFER, "head is left out: the last layer")


@pytest.mark.parametrize(
    ("shapes", "options", "reason"),
    [
        ({"a": (3,)}, LayerOptions(), "no weight has two or more axes"),
        ({"a": (3,)}, LayerOptions(last_layer=False), "no weight has two or more axes"),
        ({"a": ()}, BiasOptions(biases=True), "no parameter has an axis"),
        ({"a.weight": (3, 3)}, LayerOptions(last_layer=False), "a is the last layer and the only one"),
    ],
)
def test_nothing_to_compress_says_why(shapes, options, reason):
    subject = type(SUBJECT)(task=None, shapes=shapes, constant=frozenset(), available=SUBJECT.available)
    selection = select_parts(subject, options)
    assert selection.applicability.reason == reason
    assert selection.parts == {}


def test_vectors_alone_can_be_compressed():
    subject = type(SUBJECT)(task=None, shapes={"a": (3,)}, constant=frozenset(), available=SUBJECT.available)
    for options in (BiasOptions(biases=True), BiasOptions(biases=True, last_layer=False)):
        assert select_parts(subject, options).parts == {"a": ("a",)}


def test_amounts_are_found_by_their_decimal():
    amounts = build_amounts(101)
    assert (len(amounts), amounts[0], amounts[-1]) == (101, 0, 1)
    assert all(amounts[number] == float(f"0.{number:02d}") for number in range(100))
