"""Expectations of the estimator that are known exactly, by other means than sampling."""

import numpy as np


def quadratic(curvatures, loss_factor, localisation):
    """n β E[L] for L = Σ h x² / 2 under the localised posterior: Σ n β h / (n β h + γ) / 2."""
    scaled = loss_factor * np.asarray(curvatures, dtype=float)
    return float((scaled / (scaled + localisation) / 2).sum())


def quadratic_chain(curvatures, loss_factor, localisation, step_size, num_burn_in, num_draws):
    """The same for draws num_burn_in + 1 … num_burn_in + num_draws of an unadjusted chain started at the minimum.

    Along an axis with a = n β h + γ a step is x' = ρ x + √ε ξ, ρ = 1 − ε a / 2, so that
    E x_t² = ε (1 + ρ² + … + ρ^(2t − 2)), summed here term by term.
    """
    total = 0.0
    for curvature, gamma in np.broadcast(curvatures, localisation):
        rho = 1 - step_size * (loss_factor * curvature + gamma) / 2
        square, squares = 0.0, []
        for _ in range(num_burn_in + num_draws):
            square = rho**2 * square + step_size
            squares.append(square)
        total += loss_factor * curvature * np.mean(squares[num_burn_in:]) / 2
    return total


def two_layer_linear(num_outputs, num_hidden, num_inputs, strength):
    """n β E[L] for L = ‖W₂ W₁‖² / 2 localised at zero, with strength t = n β / γ², for one or two hidden units.

    With W₁ integrated over first, Z(t) = E_s ∏ (1 + t s_i²)^(−num_outputs / 2) over the singular values s of a standard
    normal matrix (num_hidden, num_inputs ≥ num_hidden), and n β E[L] = −d ln Z / d ln t, by quadrature over ln s.
    """
    logs = np.linspace(-25, np.log(9), 600)
    axes = np.meshgrid(*[np.exp(logs)] * num_hidden, indexing="ij")
    density = np.prod([s ** (num_inputs - num_hidden + 1) * np.exp(-(s**2) / 2) for s in axes], axis=0)
    if num_hidden == 2:
        density = density * np.abs(axes[0] ** 2 - axes[1] ** 2)
    weights = density * np.prod([(1 + strength * s**2) ** (-num_outputs / 2) for s in axes], axis=0)
    slopes = num_outputs / 2 * sum(strength * s**2 / (1 + strength * s**2) for s in axes)
    return float((weights * slopes).sum() / weights.sum())
