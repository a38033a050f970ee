"""What holds for inner products of tangents in the metrics, and what does not."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings
from torch import nn

from grokprobe.context import Network
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import compute_diagonal_gram, compute_fisher_gram
from grokprobe.numerics.output_fisher import IdentityFisher, empirical_fisher, exact_fisher

LAW = settings(deadline=None, max_examples=15)
seeds = st.integers(0, 2**32 - 1)
EXACT = exact_fisher("categorical")
NAMES = ("0.weight", "0.bias", "2.weight", "2.bias")


class TwoLayers:
    """V φ(W x + b) + c in float64, with two tangents."""

    def __init__(self, activation, seed):
        module = nn.Sequential(nn.Linear(4, 6), activation, nn.Linear(6, 3)).double().eval()
        self.network = Network(module=module, mapping={name: name for name in NAMES})
        self.generator = torch.Generator().manual_seed(seed)
        shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
        draw = lambda: {name: self.draw(*shape) for name, shape in shapes.items()}  # noqa: E731
        self.parameters, self.tangents = draw(), [draw(), draw()]
        self.inputs, self.labels = self.draw(5, 4), torch.arange(5) % 3

    def draw(self, *shape):
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def gram(self, metric, parameters, tangents):
        if metric == "euclidean":
            ones = {name: torch.ones_like(tensor) for name, tensor in parameters.items()}
            return compute_diagonal_gram(ones, tangents)
        if metric.endswith("diagonal"):
            fisher = IdentityFisher() if metric.startswith("regression") else EXACT
            return compute_diagonal_gram(
                compute_fisher_diagonal(self.network, parameters, self.inputs, fisher), tangents
            )
        fisher = empirical_fisher("categorical", self.labels) if metric == "empirical" else EXACT
        return compute_fisher_gram(self.network, parameters, tangents, self.inputs, fisher)

    def is_invariant(self, metric, reparameterise):
        """Whether inner products are the same when the parameters, and the tangents with them, are mapped."""
        before = self.gram(metric, self.parameters, self.tangents)
        mapped = [reparameterise(tangent) for tangent in self.tangents]
        after = self.gram(metric, reparameterise(self.parameters), mapped)
        return torch.allclose(before, after, rtol=1e-8, atol=1e-10 * before.abs().max().item())


def rescaling(factors):
    """Weights into each hidden neuron times a factor, weights out of it divided by it; linear in the parameters."""

    def mapped(own):
        return {
            "0.weight": factors.unsqueeze(1) * own["0.weight"],
            "0.bias": factors * own["0.bias"],
            "2.weight": own["2.weight"] / factors,
            "2.bias": own["2.bias"],
        }

    return mapped


def rotation(orthogonal):
    """The hidden layer in other coordinates; linear in the parameters."""

    def mapped(own):
        return {
            "0.weight": orthogonal @ own["0.weight"],
            "0.bias": orthogonal @ own["0.bias"],
            "2.weight": own["2.weight"] @ orthogonal.T,
            "2.bias": own["2.bias"],
        }

    return mapped


@LAW
@given(seed=seeds)
def test_rescaling_relu_neurons_changes_the_euclidean_metric_alone(seed):
    layers = TwoLayers(nn.ReLU(), seed)
    reparameterise = rescaling(torch.linspace(0.2, 4.0, 6, dtype=torch.float64))
    for metric in ("exact", "empirical", "exact diagonal", "regression diagonal"):
        assert layers.is_invariant(metric, reparameterise), metric
    assert not layers.is_invariant("euclidean", reparameterise)


@LAW
@given(seed=seeds)
def test_rotating_the_hidden_layer_of_a_linear_network_changes_every_diagonal_of_fisher_information(seed):
    layers = TwoLayers(nn.Identity(), seed)
    reparameterise = rotation(torch.linalg.qr(layers.draw(6, 6)).Q)
    for metric in ("exact", "empirical", "euclidean"):  # a rotation keeps all lengths
        assert layers.is_invariant(metric, reparameterise), metric
    for metric in ("exact diagonal", "regression diagonal"):
        assert not layers.is_invariant(metric, reparameterise), metric


@LAW
@given(seed=seeds)
def test_mixing_the_hidden_layer_of_a_linear_network_leaves_only_the_exact_metric(seed):
    layers = TwoLayers(nn.Identity(), seed)
    mixing = torch.linalg.qr(layers.draw(6, 6)).Q * torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
    inverse = torch.linalg.inv(mixing)

    def reparameterise(own):
        turned = rotation(mixing)(own)
        return turned | {"2.weight": own["2.weight"] @ inverse}

    assert layers.is_invariant("exact", reparameterise)
    for metric in ("exact diagonal", "regression diagonal", "euclidean"):
        assert not layers.is_invariant(metric, reparameterise), metric


@LAW
@given(seed=seeds)
def test_exact_is_at_most_regression_and_both_are_positive(seed):
    layers = TwoLayers(nn.Tanh(), seed)
    given_ = (layers.network, layers.parameters, layers.tangents, layers.inputs)
    exact, regression = compute_fisher_gram(*given_, EXACT), compute_fisher_gram(*given_, IdentityFisher())
    assert torch.linalg.eigvalsh(exact).min() >= -1e-9
    # diag p − p pᵀ has no eigenvalue above 1/2
    assert torch.linalg.eigvalsh(regression / 2 - exact).min() >= -1e-9 * regression.abs().max()
