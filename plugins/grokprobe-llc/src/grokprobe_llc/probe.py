"""The ``llc`` probe: how many parameters the loss about a checkpoint is worth."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe.errors import UsageError
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.variables import Coordinate, Measurement, VariableSpec
from grokprobe_llc.coefficient import Coefficient, compute_coefficient
from grokprobe_llc.landscape import Landscape, Sampling
from grokprobe_llc.langevin import Chains, LangevinSampler
from grokprobe_llc.options import VARIANTS, LlcOptions
from grokprobe_llc.variables import ACCEPTANCE, CHAIN, DRAW, LLC_VARIABLES, TRACE

#: Endings of floating-point tensors that a network keeps but does not learn.
STATISTICS = ("running_mean", "running_var")


class LlcProbe:
    """Samples the posterior localised at a checkpoint and says by how much its mean loss exceeds the checkpoint's.

    The local learning coefficient λ is the rate at which the volume of parameters with a loss below L(w*) + ε grows,
    ε^λ: half the number of parameters for a regular minimum, less for a degenerate one. Where a network goes from a
    solution that memorises to a simpler one, λ is expected to fall.

    Sampled are all tensors but those that never change along the run and the running statistics of normalisations.
    Dimensions: ``chain``; ``draw``, the steps after burn-in.

    Reference:
        Lau, Furman, Wang, Murfet and Wei, "The local learning coefficient: a singularity-aware complexity measure",
        arXiv 2308.12108.
    """

    name = "llc"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = LlcOptions
    variants: Mapping[str, Mapping[str, Any]] = VARIANTS

    def applies(self, subject: Subject, options: LlcOptions) -> Applicability:
        """Says whether there is a loss and a parameter to sample."""
        if subject.task is None:
            return Applicability(reason="no task is known, so no loss")
        weights = _weights(subject)
        unknown = [name for name in options.only if name not in weights]
        if unknown:
            return Applicability(reason=f"only: expected names among {', '.join(weights)}; found {', '.join(unknown)}")
        return Applicability(reason="" if weights else "no tensor is a weight")

    def variables(self, options: LlcOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications; ``acceptance`` of the adjusted sampler, ``trace`` on request."""
        further = [(ACCEPTANCE, options.sampler == "mala"), (TRACE, options.trace)]
        return (*LLC_VARIABLES, *(spec for spec, is_wanted in further if is_wanted))

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: fewer than two training samples, a checkpoint that is zero throughout under
                ``gamma_rule = "norm"``, or a network that cannot be computed for many chains at once.
        """
        options: LlcOptions = context.options
        loss_factor = _loss_factor(len(context.train), options.beta)
        chains = _sample(context, loss_factor)
        values = _summarise(compute_coefficient(chains, loss_factor))
        coordinates = {CHAIN: Coordinate(dim=CHAIN, values=np.arange(options.num_chains), description="Langevin chain")}
        if options.sampler == "mala":
            values["acceptance"] = chains.acceptance.cpu().numpy()
        if options.trace:
            values["trace"] = chains.losses.cpu().numpy()
            steps = options.num_burn_in + 1 + np.arange(options.num_draws)
            coordinates[DRAW] = Coordinate(
                dim=DRAW, values=steps, units="steps", description="steps from the checkpoint, burn-in included"
            )
        return Measurement(values=values, coordinates=coordinates)


def _sample(context: Context, loss_factor: float) -> Chains:
    options: LlcOptions = context.options
    localisation = _localisation(_sampled(context), options)
    if context.subject.task is None:
        raise UsageError("probe llc: expected a task, whose loss is sampled, found none")
    sampling = Sampling(
        batch_size=None if options.batch_size == "full" else options.batch_size,
        samples_at_once=options.samples_at_once,
        is_vectorised=options.vectorise,
    )
    landscape = Landscape(context, context.subject.task, list(localisation), sampling)
    sampler = LangevinSampler(
        step_size=options.step_size,
        loss_factor=loss_factor,
        localisation=torch.cat([gamma.flatten() for gamma in localisation.values()]).to(landscape.origin),
        num_burn_in=options.num_burn_in,
        num_draws=options.num_draws,
        is_adjusted=options.sampler == "mala",
    )
    seeds = torch.randint(2**62, (options.num_chains,), generator=context.generator).split(options.chains_at_once)
    parts = [sampler.sample(landscape.evaluate, landscape.origin, part.tolist()) for part in seeds]
    return Chains(
        losses=torch.cat([part.losses for part in parts]),
        acceptance=torch.cat([part.acceptance for part in parts]),
        has_diverged=torch.cat([part.has_diverged for part in parts]),
    )


def _loss_factor(num_samples: int, beta: float | None) -> float:
    """Returns n β."""
    if num_samples < 2:
        raise UsageError(f"probe llc: expected at least 2 training samples, found {num_samples}")
    return num_samples * (1 / math.log(num_samples) if beta is None else beta)


def _weights(subject: Subject) -> list[str]:
    return [name for name in subject.shapes if name not in subject.constant and not name.endswith(STATISTICS)]


def _sampled(context: Context) -> Parameters:
    options: LlcOptions = context.options
    names = [name for name in _weights(context.subject) if name in options.only or not options.only]
    return {name: context.parameters[name].detach() for name in names}


def _localisation(parameters: Parameters, options: LlcOptions) -> dict[str, torch.Tensor]:
    """Returns γ of every number of each tensor that is sampled."""
    if options.gamma_rule == "constant":
        return {name: torch.full_like(tensor, options.gamma) for name, tensor in parameters.items()}
    norms = {name: float(torch.linalg.vector_norm(tensor.double())) for name, tensor in parameters.items()}
    if not any(norms.values()):
        raise UsageError('probe llc: gamma_rule = "norm" expects a tensor that is not zero, found none; use "constant"')
    return {name: torch.full_like(parameters[name], options.gamma / norm) for name, norm in norms.items() if norm}


def _summarise(coefficient: Coefficient) -> dict[str, np.ndarray]:
    mixing = coefficient.mixing
    numbers = {
        "llc": coefficient.mean,
        "llc_error": coefficient.error,
        "llc_mcse": mixing.standard_error,
        "llc_drift": coefficient.drift,
        "r_hat": mixing.r_hat,
        "effective_sample_size": mixing.effective_sample_size,
        "diverged_fraction": coefficient.diverged_fraction,
    }
    values = {name: np.asarray(number) for name, number in numbers.items()}
    return {**values, "llc_chain": coefficient.of_chains.cpu().numpy()}
