import numpy as np
import pytest
import torch

from grokprobe.interfaces import Requirement
from grokprobe.probes import layer_outputs
from grokprobe.probes.layer_similarity import SimilarityOptions
from grokprobe.probes.similarity import SimilarityProbe
from grokprobe.probes.similarity_to_final import SimilarityToFinalProbe
from grokprobe.probes.similarity_to_run import SimilarityToRunProbe
from grokprobe.testing import FixedContext, check_probe
from reference import representations as reference
from unit.probes.representation_networks import SAMPLES, Convolution, TwoLayers, layers_of, parameters_of

#: Probe → what it compares with: the name along ``other`` and the field of the context that holds it.
PROBES = {
    SimilarityProbe: {"previous": "previous", "initial": "first"},
    SimilarityToFinalProbe: {"final": "last"},
    SimilarityToRunProbe: {"reference": "other"},
}


def measure(probe, network, options=None, **checkpoints):
    given = {field: parameters_of(network, 2 + place) for place, field in enumerate(PROBES[probe].values())}
    context = FixedContext(
        **({"parameters": parameters_of(network, 1), "model": network, "test_samples": SAMPLES} | given | checkpoints)
    )
    return check_probe(probe(), context, options)


@pytest.mark.parametrize("network", [TwoLayers(), Convolution()])
@pytest.mark.parametrize("probe", PROBES)
def test_agrees_with_kernels_of_samples(probe, network):
    measurement = measure(probe, network)
    assert measurement.coordinates["other"].values.tolist() == list(PROBES[probe])
    own = layers_of(network, parameters_of(network, 1))
    for place in range(len(PROBES[probe])):
        others = layers_of(network, parameters_of(network, 2 + place))
        for position, (x, y) in enumerate(zip(own, others, strict=True)):
            found = [measurement.values[name][position, place] for name in ("cka", "procrustes")]
            np.testing.assert_allclose(found, [reference.cka(x, y), reference.procrustes(x, y)], rtol=1e-6)


def test_what_each_needs_says_when_it_can_be_measured():
    shared = {Requirement.MODEL, Requirement.TEST_SPLIT}
    assert SimilarityProbe.requires - shared == {Requirement.NEIGHBOURS, Requirement.INITIAL}
    assert SimilarityToFinalProbe.requires - shared == {Requirement.FINAL}
    assert SimilarityToRunProbe.requires - shared == {Requirement.OTHER_RUN}


def test_a_permuted_and_rescaled_network_has_the_same_hidden_layer():
    network = TwoLayers()
    parameters = parameters_of(network, 1)
    order = torch.tensor([3, 1, 4, 0, 2])
    permuted = {
        "hidden.weight": 3 * parameters["hidden.weight"][order],
        "hidden.bias": 3 * parameters["hidden.bias"][order],
        "output.weight": parameters["output.weight"][:, order] / 3,
        "output.bias": parameters["output.bias"],
    }
    for values in measure(SimilarityToRunProbe, network, other=permuted).values.values():
        np.testing.assert_allclose(values, 1, rtol=1e-6)


def test_nothing_lies_before_the_first_checkpoint():
    network = TwoLayers()
    values = measure(SimilarityProbe, network, previous=None, next=parameters_of(network, 4)).values
    for name in ("cka", "procrustes"):
        assert np.isnan(values[name]).tolist() == [[True, False], [True, False]]


def test_a_layer_that_does_not_vary_or_is_too_wide_has_no_similarity():
    network = Convolution()
    constant = parameters_of(network, 1)
    constant["output.weight"] = torch.zeros(3, 12)
    values = measure(SimilarityToFinalProbe, network, SimilarityOptions(max_units=11), last=constant).values
    assert np.isnan(values["cka"]).all()
    values = measure(SimilarityToFinalProbe, network, last=constant).values
    assert np.isnan(values["procrustes"]).tolist() == [[False], [True]]


def test_batches_do_not_matter(monkeypatch):
    network = TwoLayers()
    whole = measure(SimilarityProbe, network).values
    monkeypatch.setattr(layer_outputs, "EVALUATION_BATCH", 7)
    for name, values in measure(SimilarityProbe, network).values.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6)
