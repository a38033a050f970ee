import torch

from grokprobe.numerics.hessian import compute_hessian_product


def test_agrees_with_the_dense_hessian_of_torch():
    generator = torch.Generator().manual_seed(0)
    theta, tangent = (torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(2))

    def loss(parameters):
        return (parameters["w"].sin() * parameters["w"].roll(1)).sum() + parameters["w"].prod()

    dense = torch.autograd.functional.hessian(lambda w: loss({"w": w}), theta)
    product = compute_hessian_product(loss, {"w": theta}, {"w": tangent})
    torch.testing.assert_close(product["w"], dense @ tangent)


def test_a_parameter_without_effect_has_zero():
    parameters = {"used": torch.tensor([2.0]), "idle": torch.tensor([1.0, 5.0])}
    product = compute_hessian_product(lambda p: (p["used"] ** 3).sum(), parameters, parameters)
    assert product["used"].tolist() == [24]
    assert product["idle"].tolist() == [0, 0]


def test_a_plane_is_not_curved():
    parameters = {"w": torch.tensor([2.0, 3.0])}
    product = compute_hessian_product(lambda p: 5 * p["w"].sum(), parameters, parameters)
    assert product["w"].tolist() == [0, 0]


def test_nothing_is_left_on_the_parameters():
    parameters = {"w": torch.tensor([2.0, 3.0])}
    with torch.no_grad():
        product = compute_hessian_product(lambda p: (p["w"] ** 2).sum(), parameters, parameters)
    assert product["w"].tolist() == [4, 6]
    assert not product["w"].requires_grad
    assert not parameters["w"].requires_grad
