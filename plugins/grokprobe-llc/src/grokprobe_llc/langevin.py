"""Langevin chains about a point: how the localised posterior is sampled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

#: (displacements (num_chains, num_parameters), one generator a chain) → losses (num_chains,), float64, and their
#: gradients (num_chains, num_parameters). What is drawn for a chain, such as a minibatch, comes from its generator.
LossAndGradient = Callable[[torch.Tensor, Sequence[torch.Generator]], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """What chains saw, one row a chain."""

    #: Loss at every draw, burn-in left out, shape (num_chains, num_draws), float64.
    losses: torch.Tensor
    #: Share of the proposals after burn-in that were accepted, shape (num_chains,), float64; 1 without adjustment.
    acceptance: torch.Tensor
    #: Chains with a loss or a position that was not finite at any step, burn-in included; shape (num_chains,).
    has_diverged: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    displacements: torch.Tensor
    losses: torch.Tensor
    #: Minus half a step along the gradient of the potential.
    drift: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LangevinSampler:
    """Samples exp(−U(δ)) with U(δ) = κ L(δ) + Σ_j γ_j δ_j² / 2 over displacements δ, by Langevin steps from δ = 0.

    δ' = δ − (ε/2) ∇U(δ) + √ε ξ, with ξ standard normal. With gradients over a new minibatch at every step this is
    stochastic gradient Langevin dynamics; with exact gradients it is the unadjusted Langevin algorithm.

    Without adjustment the stationary distribution is off by O(ε). For a quadratic potential it is exact but for the
    variance along a principal axis with curvature a, which is 1 / (a (1 − ε a / 4)) instead of 1 / a, and infinite
    from ε a = 4 on. Minibatches add the variance of their gradients to this. The adjustment (MALA) accepts δ' with
    probability min(1, exp(U(δ) − U(δ')) q(δ | δ') / q(δ' | δ)) and else stays; then the distribution is exact,
    which needs exact losses and gradients.

    Laws: what a chain does depends, but for rounding, on its own seed and on nothing that other chains do; nothing is
    read back from the device between steps.

    Reference:
        Welling and Teh, ICML 2011, Eq. 4; Roberts and Tweedie, Bernoulli 2 (1996) 341.
    """

    #: ε, in the units of a squared displacement.
    step_size: float
    #: κ, the factor of the loss: n β for a mean loss over n samples at inverse temperature β.
    loss_factor: float
    #: γ, of shape () or (num_parameters,), in units of one over a squared displacement.
    localisation: torch.Tensor
    #: Steps before the first draw.
    num_burn_in: int
    #: Draws, one after every further step.
    num_draws: int
    #: Whether proposals are accepted or rejected.
    is_adjusted: bool = False

    def sample(self, loss_and_gradient: LossAndGradient, origin: torch.Tensor, seeds: Sequence[int]) -> Chains:
        """Runs one chain per seed, side by side.

        The loss of a draw is that which the step from it needs anyway: over a minibatch that the draw does not depend
        on, so without bias. Memory is that of about eight displacements a chain, beside what the loss takes.

        Args:
            loss_and_gradient: L and its gradient.
            origin: shape (num_parameters,); tells the type and the device.
            seeds: one a chain.
        """
        generators = [torch.Generator(origin.device).manual_seed(seed) for seed in seeds]

        def evaluate(displacements: torch.Tensor) -> _State:
            losses, gradients = loss_and_gradient(displacements, generators)
            potential_gradients = self.loss_factor * gradients + self.localisation * displacements
            return _State(displacements=displacements, losses=losses, drift=-self.step_size / 2 * potential_gradients)

        state = evaluate(origin.new_zeros(len(seeds), len(origin)))
        losses, accepted = [state.losses], []
        for _ in range(self.num_burn_in + self.num_draws):
            noise = torch.stack([_draw(torch.randn, origin.shape, origin.dtype, one) for one in generators])
            proposal = evaluate(state.displacements + state.drift + self.step_size**0.5 * noise)
            is_accepted = self._accept(state, proposal, noise, generators)
            state = _choose(is_accepted, proposal, state) if self.is_adjusted else proposal
            losses.append(state.losses)
            accepted.append(is_accepted)
        trace = torch.stack(losses, dim=1)
        return Chains(
            losses=trace[:, 1 + self.num_burn_in :],
            acceptance=torch.stack(accepted[self.num_burn_in :], dim=1).double().mean(dim=1),
            has_diverged=~(trace.isfinite().all(dim=1) & state.displacements.isfinite().all(dim=1)),
        )

    def _accept(
        self, state: _State, proposal: _State, noise: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """Decides for every chain; a proposal that is not finite has the ratio NaN, and no comparison accepts it."""
        if not self.is_adjusted:
            return torch.ones_like(state.losses, dtype=torch.bool)
        uniform = torch.stack([_draw(torch.rand, state.losses.shape[1:], torch.float64, one) for one in generators])
        back = state.displacements - proposal.displacements - proposal.drift
        moves = _sum_of_squares(noise) / 2 - _sum_of_squares(back) / (2 * self.step_size)
        return uniform.log() < self._potential(state) - self._potential(proposal) + moves

    def _potential(self, state: _State) -> torch.Tensor:
        return self.loss_factor * state.losses + _sum_of_squares(self.localisation.sqrt() * state.displacements) / 2


def _draw(
    distribution: Callable[..., torch.Tensor], shape: torch.Size, dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    return distribution(shape, generator=generator, dtype=dtype, device=generator.device)


def _sum_of_squares(rows: torch.Tensor) -> torch.Tensor:
    return rows.double().square().sum(dim=1)


def _choose(is_first: torch.Tensor, first: _State, second: _State) -> _State:
    rows = is_first.unsqueeze(1)
    return _State(
        displacements=first.displacements.where(rows, second.displacements),
        losses=first.losses.where(is_first, second.losses),
        drift=first.drift.where(rows, second.drift),
    )
