"""What the ``fourier`` probe stores."""

from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

_EQUATION_4: Final = "arXiv 2502.01739, Eq. 4"

#: Stored always.
FOURIER_VARIABLES: Final = (
    VariableSpec(
        name="ipr",
        dims=(names.NEURON,),
        bounds=(0, 1),
        description=(
            "Inverse participation ratio sum P^2 / (sum P)^2 of the powers of the modes of the basis; NaN for a dead"
            " neuron (norm at most dead_threshold times the largest of its layer) and for one that is not finite."
        ),
        reference=_EQUATION_4,
    ),
    VariableSpec(
        name="dominant_frequency",
        dims=(names.NEURON,),
        units="cycles",
        bounds=(0, None),
        description=(
            "Frequency 0 … n//2 with the most power, in cycles per length n of the transformed axis; conjugates, or cos"
            " and sin, counted together in every basis; the lowest of equal ones; NaN where ipr is."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="power_fraction",
        dims=(names.NEURON,),
        bounds=(0, 1),
        description=(
            "Share of the neuron's total power (without the constant mode if it is dropped) at the dominant frequency,"
            " conjugates, or cos and sin, counted together in every basis; NaN where ipr is."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="ipr_mean",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description="Mean of ipr over the live neurons of the layer, those that have one; NaN if none has.",
        reference="arXiv 2502.01739, Eq. 7",
        headline=True,
    ),
    VariableSpec(
        name="dead_fraction",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description=(
            "Dead neurons as a share of all neurons of the layer; a neuron that is not finite counts as not dead."
        ),
        reference="grokprobe",
    ),
)

#: Stored on request.
SPECTRUM: Final = VariableSpec(
    name="spectrum",
    dims=(names.NEURON, names.FREQUENCY),
    units="squared weight",
    bounds=(0, None),
    description=(
        "Power of every mode with the orthonormal transform, one-sided for rfft and sincos (cos and sin added) and"
        " two-sided for fft, so that the powers of a neuron sum to its squared norm; defined for dead neurons too."
    ),
    reference="grokprobe",
)
