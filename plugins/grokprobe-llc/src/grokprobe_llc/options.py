"""Options of the ``llc`` probe."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LlcOptions(BaseModel):
    """Options of the ``llc`` probe."""

    # What has ``repr=False`` says how to compute and what to store: it is no part of the generator's seed.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: ``sgld``: every proposal is taken. ``mala``: accepted or rejected, so that the step size has no bias; needs all
    #: samples at every step.
    sampler: Literal["sgld", "mala"] = "sgld"
    #: ε of the step −(ε/2) ∇ + √ε ξ.
    step_size: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    #: γ of the localisation (γ/2) ‖w − w*‖².
    gamma: float = Field(default=100.0, ge=0, allow_inf_nan=False)
    #: ``constant``: γ for every parameter. ``norm``: γ / ‖w*_t‖ for the parameters of tensor t; a tensor that is zero
    #: is not sampled.
    gamma_rule: Literal["constant", "norm"] = "constant"
    #: Inverse temperature β; None for 1 / ln n of n training samples.
    beta: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    #: Samples of each step, drawn for each chain anew and without repetition; ``full``, or more than there are: all.
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = 512
    #: Independent chains, all started at the checkpoint.
    num_chains: int = Field(default=4, ge=1)
    #: Steps of each chain before its first draw.
    num_burn_in: int = Field(default=500, ge=0)
    #: Draws of each chain, one after every further step.
    num_draws: int = Field(default=500, ge=1)
    #: Names of the parameters that are sampled, the others held at the checkpoint; empty for all.
    only: list[str] = []
    #: Whether to store the loss of every draw.
    trace: bool = Field(default=False, repr=False)
    #: Whether chains are computed in one batch; false for a network that ``torch.func.vmap`` cannot compute.
    vectorise: bool = Field(default=True, repr=False)
    #: Chains in memory at a time. With ``samples_at_once`` it bounds the memory, and changes last digits only.
    chains_at_once: int = Field(default=8, ge=1, repr=False)
    #: Samples of each chain in one forward pass.
    samples_at_once: int = Field(default=1024, ge=1, repr=False)

    @model_validator(mode="after")
    def _adjustment_is_exact(self) -> Self:
        if self.sampler == "mala" and self.batch_size != "full":
            raise ValueError('sampler = "mala" needs the loss over all samples: set batch_size = "full"')
        return self


#: What the labels ``llc@…`` stand for. ``authors``: as the authors of arXiv 2502.01739 sampled (γ = 100 / ‖w*_t‖ for
#: tensor t, ε = 1e-5, one chain of 100 steps without burn-in, minibatches of 200), but over the training samples, where
#: they took test samples. ``mala``: without the bias of the step size.
VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "authors": {
        "step_size": 1e-5,
        "gamma": 100.0,
        "gamma_rule": "norm",
        "batch_size": 200,
        "num_chains": 1,
        "num_burn_in": 0,
        "num_draws": 100,
    },
    "mala": {"sampler": "mala", "batch_size": "full"},
}
