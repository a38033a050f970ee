"""Fisher matrices as dense matrices, from the gradients of the log-likelihood of every label, in float64."""

import torch


def flatten(tensors):
    """One vector of all tensors in the order of their names in the mapping."""
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def gradient_rows(function, parameters):
    """Gradients of a vector-valued function of the parameters, one row an output."""
    jacobians = torch.func.jacrev(function)(dict(parameters))
    return torch.cat([jacobian.flatten(start_dim=1) for jacobian in jacobians.values()], dim=1)


def categorical_matrix(apply, parameters, inputs):
    """E_x Σ_k p_k ∇ln p_k (∇ln p_k)ᵀ."""
    total = 0
    for number in range(len(inputs)):
        sample = inputs[number : number + 1]
        rows = gradient_rows(lambda own, x=sample: apply(own, x)[0].log_softmax(dim=0), parameters)
        total = total + rows.T @ (apply(parameters, sample)[0].softmax(dim=0).unsqueeze(1) * rows)
    return total / len(inputs)


def regression_matrix(apply, parameters, inputs):
    """E_x JᵀJ."""
    rows = gradient_rows(lambda own: apply(own, inputs).flatten(), parameters)
    return rows.T @ rows / len(inputs)


def empirical_matrix(apply, parameters, inputs, labels):
    """E_x ∇ln p_y (∇ln p_y)ᵀ at the observed labels."""
    chosen = torch.arange(len(inputs))
    rows = gradient_rows(lambda own: apply(own, inputs).log_softmax(dim=1)[chosen, labels], parameters)
    return rows.T @ rows / len(inputs)
