"""The Hessian of a loss, known by its products with vectors."""

from collections.abc import Callable, Mapping

import torch

#: A scalar loss as a function of the parameters.
Loss = Callable[[dict[str, torch.Tensor]], torch.Tensor]


def compute_hessian_product(
    loss: Loss, parameters: Mapping[str, torch.Tensor], tangent: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Returns H v = ∂/∂t ∇L(θ + t v) at t = 0, the product of the Hessian of a loss with a tangent vector.

    It is computed as vᵀH, which is the same because H is symmetric: the vector-Jacobian product of the gradient, in
    reverse mode twice. Exact, without a step length, at the cost of a few gradients. Where the loss is only piecewise
    smooth, as with ReLU, it is the Hessian of the piece that holds θ.

    Args:
        loss: scalar, twice differentiable around ``parameters``.
        parameters: θ.
        tangent: v, named, shaped and typed as ``parameters``.

    Returns:
        H v, named, shaped and typed as ``parameters``; zero for a parameter that the loss does not depend on.

    Reference:
        B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994) 147.

    Example:
        >>> theta, v = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.0, 0.0])}
        >>> product = compute_hessian_product(lambda p: p["w"].prod() ** 2 / 2, theta, v)
        >>> assert product["w"].tolist() == [4.0, 4.0]  # H = [[y², 2xy], [2xy, x²]]
    """
    # Not torch.func: its forward mode warns on first use, and its first gradient imports a compiler (torch 2.13).
    variables = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    leaves = list(variables.values())
    with torch.enable_grad():
        gradients = torch.autograd.grad(loss(variables), leaves, create_graph=True, materialize_grads=True)
    curved = [
        (gradient, tangent[name]) for name, gradient in zip(variables, gradients, strict=True) if gradient.requires_grad
    ]
    if not curved:
        return {name: torch.zeros_like(tensor) for name, tensor in parameters.items()}
    slopes, vectors = zip(*curved, strict=True)
    return dict(zip(variables, torch.autograd.grad(slopes, leaves, vectors, materialize_grads=True), strict=True))
