"""What the built-in compressors have in common, one row of a table each."""

from typing import Any

import pytest
import torch

from grokprobe.compressors import grokprobe_compressors
from grokprobe.compressors.fisher import FisherCompressor, FisherOptions
from grokprobe.compressors.low_rank import LowRankCompressor, LowRankOptions
from grokprobe.compressors.magnitude import MagnitudeCompressor, MagnitudeOptions
from grokprobe.compressors.quantize import QuantizeCompressor, QuantizeOptions
from grokprobe.compressors.random import RandomCompressor, RandomOptions
from grokprobe.numerics.low_rank import decompose
from grokprobe.numerics.quantization import quantize_uniformly
from grokprobe.testing import check_compressor
from reference import compression as reference
from unit.compressors.compressed_networks import addition_context, draw_parameters, weights_context

CASES = [
    (MagnitudeCompressor, MagnitudeOptions(num_amounts=11)),
    (MagnitudeCompressor, MagnitudeOptions(num_amounts=7, scope="global", biases=True)),
    (MagnitudeCompressor, MagnitudeOptions(num_amounts=7, scope="global_normalized", last_layer=False)),
    (RandomCompressor, RandomOptions(num_amounts=11)),
    (RandomCompressor, RandomOptions(num_amounts=7, scope="global", biases=True)),
    (FisherCompressor, FisherOptions(num_amounts=11)),
    (FisherCompressor, FisherOptions(num_amounts=7, scope="layer", metric="regression", biases=True)),
    (LowRankCompressor, LowRankOptions(num_amounts=11)),
    (LowRankCompressor, LowRankOptions(num_amounts=7, last_layer=False)),
    (QuantizeCompressor, QuantizeOptions()),
    (QuantizeCompressor, QuantizeOptions(biases=True, last_layer=False)),
]


def context_for(compressor: type) -> Any:
    return addition_context() if compressor is FisherCompressor else weights_context()


def compress(compressor: Any, context: Any, options: Any, amounts: list[float]) -> list[dict[str, torch.Tensor]]:
    return [dict(parameters) for parameters in compressor.compress(context.with_options(options), amounts)]


@pytest.mark.parametrize(("compressor", "options"), CASES)
def test_keeps_the_laws(compressor, options):
    check_compressor(compressor(), context_for(compressor), options)


@pytest.mark.parametrize(("compressor", "options"), CASES)
def test_everything_compressed_is_zero_at_one(compressor, options):
    context = context_for(compressor)
    (parameters,) = compress(compressor(), context, options, [1.0])
    parts = compressor().parts(context.subject, options)
    compressed = {name for members in parts.values() for name in members}
    assert compressed
    assert not any(parameters[name].any() for name in compressed)


@pytest.mark.parametrize(("compressor", "options"), CASES)
def test_constant_tensors_are_never_compressed(compressor, options):
    subject = context_for(compressor).subject
    parts = compressor().parts(subject, options)
    assert not subject.constant & {name for members in parts.values() for name in members}


def test_all_are_registered_and_none_runs_unasked():
    built_in = grokprobe_compressors()
    assert {type(compressor) for compressor in built_in} == {compressor for compressor, _ in CASES}
    assert not any(compressor.is_cheap for compressor in built_in)


@pytest.mark.parametrize("compressor", [MagnitudeCompressor, RandomCompressor, FisherCompressor])
def test_shares_removed_by_scope(compressor):
    context = context_for(compressor)
    for scope in ("layer", "global"):
        options = compressor.options(scope=scope)
        (parameters,) = compress(compressor(), context, options, [0.5])
        names = [name for members in compressor().parts(context.subject, options).values() for name in members]
        zeros = {name: int((parameters[name] == 0).sum()) for name in names}
        sizes = {name: parameters[name].numel() for name in names}
        if scope == "layer":
            assert zeros == {name: reference.round_half_even(size / 2) for name, size in sizes.items()}
        else:
            assert sum(zeros.values()) == reference.round_half_even(sum(sizes.values()) / 2)
            assert zeros != {name: reference.round_half_even(size / 2) for name, size in sizes.items()}


def test_magnitude_removes_the_smallest_of_each_tensor():
    weights = draw_parameters()
    (parameters,) = compress(MagnitudeCompressor(), weights_context(weights), MagnitudeOptions(), [0.3])
    flat = weights["hidden.weight"].flatten().tolist()
    expected = reference.prune(flat, [abs(weight) for weight in flat], 0.3)
    assert parameters["hidden.weight"].flatten().tolist() == expected


def test_normalized_scope_does_not_see_the_scale_of_a_tensor():
    weights = draw_parameters()
    scaled = {**weights, "hidden.weight": 1000 * weights["hidden.weight"]}
    for scope, is_equal in (("global", False), ("global_normalized", True)):
        options = MagnitudeOptions(scope=scope)
        (before,), (after,) = (
            compress(MagnitudeCompressor(), weights_context(given), options, [0.4]) for given in (weights, scaled)
        )
        assert all((before[name] == 0).equal(after[name] == 0) for name in weights) is is_equal


def test_random_order_is_that_of_the_checkpoint():
    context = weights_context()
    options = RandomOptions()
    (first,), (again,) = (compress(RandomCompressor(), context, options, [0.5]) for _ in range(2))
    (other,) = compress(RandomCompressor(), context.at_other_parameters(), options, [0.5])
    assert (first["head"] == 0).equal(again["head"] == 0)
    assert not (first["head"] == 0).equal(other["head"] == 0)


def test_numbers_of_bits():
    options = QuantizeOptions()
    bits = QuantizeCompressor().labels(options)["bits"]
    amounts = QuantizeCompressor().amounts(options)
    assert bits.values.tolist() == list(range(32, -1, -1))
    assert (amounts == 1 - bits.values / 32).all()
    weights = draw_parameters()
    (parameters,) = compress(QuantizeCompressor(), weights_context(weights), options, [1 - 5 / 32])
    assert parameters["head"].equal(quantize_uniformly(weights["head"], 5))
    assert parameters["conv.bias"] is weights["conv.bias"]


def test_kernels_are_truncated_as_matrices():
    weights = draw_parameters()
    (parameters,) = compress(LowRankCompressor(), weights_context(weights), LowRankOptions(), [0.5])
    assert parameters["conv.weight"].equal(decompose(weights["conv.weight"]).truncate(0.5))
    assert torch.linalg.matrix_rank(parameters["conv.weight"].flatten(1)) == 2
