"""What the ``llc`` probe stores."""

from typing import Final

from grokprobe.variables import VariableSpec

#: One position of it is one Langevin chain.
CHAIN: Final = "chain"
#: One position of it is one draw after burn-in.
DRAW: Final = "draw"

_LAU: Final = "arXiv 2308.12108"
_VEHTARI: Final = "Vehtari et al., Bayesian Analysis 16 (2021) 667"
_SOUND: Final = "over the chains that did not diverge; NaN if none is left"

LLC_VARIABLES: Final = (
    VariableSpec(
        name="llc",
        description=(
            "Local learning coefficient n beta (E[L_n(w)] - L_n(w*)), L_n the task's mean loss in nats over the n"
            " training samples, w* the checkpoint, beta = 1 / ln n unless it is given; the expectation is the mean over"
            " the draws after burn-in from exp(-n beta L_n(w) - sum_j gamma_j (w_j - w*_j)^2 / 2), approximated by"
            f" Langevin steps; mean {_SOUND}."
        ),
        reference=_LAU,
        headline=True,
    ),
    VariableSpec(
        name="llc_error",
        bounds=(0, None),
        description=(
            "Standard error of llc from the spread between chains: standard deviation of llc_chain (over k - 1) /"
            " sqrt(k) over the k chains that did not diverge; NaN for fewer than two. It contains no bias of step size,"
            " burn-in or localisation."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="llc_mcse",
        bounds=(0, None),
        description=(
            "Standard error of llc from the draws themselves: sqrt(variance of the draws / effective_sample_size), in"
            f" the units of llc, {_SOUND}, fewer than 4 draws a chain, or losses that do not vary."
        ),
        reference=_VEHTARI,
    ),
    VariableSpec(
        name="llc_chain",
        dims=(CHAIN,),
        description="llc of each chain; NaN for one with a loss or a position that was not finite at any step.",
        reference=_LAU,
    ),
    VariableSpec(
        name="llc_drift",
        description=(
            "llc of the second half of the draws less that of the first (the middle draw of an odd number left out),"
            f" mean {_SOUND}, or for a single draw. 0 in equilibrium, to about twice llc_error; positive while chains"
            " still spread."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="r_hat",
        bounds=(0, None),
        description=(
            "Potential scale reduction of the loss over the chains cut into halves, sqrt(V / W), without ranks, 1 if"
            f" they agree, {_SOUND}, fewer than 4 draws a chain, or losses that do not vary."
        ),
        reference=f"{_VEHTARI}, Eq. 1-4",
    ),
    VariableSpec(
        name="effective_sample_size",
        units="draws",
        bounds=(0, None),
        description=(
            "Number of independent draws of the loss with the same variance of the mean, all chains together, by"
            f" Geyer's initial monotone sequence, {_SOUND}, fewer than 4 draws a chain, or losses that do not vary."
        ),
        reference=f"{_VEHTARI}, Eq. 10-13",
    ),
    VariableSpec(
        name="diverged_fraction",
        bounds=(0, 1),
        description=(
            "Share of the chains with a loss or a position that was not finite at any step, burn-in included: the step"
            " size is too large for the curvature of the loss."
        ),
        reference="grokprobe",
    ),
)

ACCEPTANCE: Final = VariableSpec(
    name="acceptance",
    dims=(CHAIN,),
    bounds=(0, 1),
    description="Share of the proposals after burn-in that the chain accepted; only with sampler = mala.",
    reference="Roberts and Tweedie, Bernoulli 2 (1996) 341",
)

TRACE: Final = VariableSpec(
    name="trace",
    dims=(CHAIN, DRAW),
    units="nat",
    description=(
        "L(w) - L(w*) at every draw, both over the same samples: all, or a minibatch that the draw does not depend on;"
        " on request."
    ),
    reference="grokprobe",
)
