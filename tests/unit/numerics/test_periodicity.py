import pytest
import torch

from grokprobe.numerics.periodicity import find_periodic_axes, signals_along, split_into_layers


@pytest.mark.parametrize(
    ("shape", "axes"), [((512, 10), (1,)), ((5, 512), (0,)), ((5, 10), (0, 1)), ((5, 5), (0, 1)), ((512, 15), ())]
)
def test_finds_axes_of_one_or_two_periods(shape, axes):
    assert find_periodic_axes(shape, 5) == axes


def test_signals_number_the_other_axes_in_c_order():
    weights = torch.arange(24).reshape(2, 3, 4)
    signals = signals_along(weights, 1)
    assert signals.dtype == torch.int64
    for row in range(2):
        for column in range(4):
            assert signals[4 * row + column].tolist() == weights[row, :, column].tolist()


def test_vector_is_one_neuron():
    assert signals_along(torch.arange(5), 0).tolist() == [[0, 1, 2, 3, 4]]


def test_halves_become_layers_signals_or_one_long_signal():
    signals = torch.arange(12).reshape(2, 6)
    first, second = signals[:, :3], signals[:, 3:]
    cases = {"separate": [[first], [second]], "joint": [[first, second]], "rollout": [[signals]]}
    for halves, expected in cases.items():
        found = split_into_layers(signals, 3, halves)
        assert [[part.tolist() for part in layer] for layer in found] == [
            [part.tolist() for part in layer] for layer in expected
        ]


@pytest.mark.parametrize("halves", ["separate", "joint", "rollout"])
def test_one_period_is_one_layer(halves):
    signals = torch.ones(2, 3)
    ((found,),) = split_into_layers(signals, 3, halves)
    assert found is signals
