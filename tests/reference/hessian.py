"""The Hessian of a network's loss as a dense matrix: one row a parameter, by differentiating the gradient twice."""

import torch


def dense_hessian(task, model, samples):
    """∂²L/∂θ_i ∂θ_j of the mean loss over all samples, float64, parameters in the order of the module."""
    parameters = list(model.parameters())
    loss = task.loss(model(samples.inputs).double(), samples.targets)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    rows = []
    for entry in torch.cat([gradient.flatten() for gradient in gradients]):
        row = torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True)
        parts = [torch.zeros_like(p) if g is None else g for g, p in zip(row, parameters, strict=True)]
        rows.append(torch.cat([part.flatten() for part in parts]).double())
    return torch.stack(rows)
