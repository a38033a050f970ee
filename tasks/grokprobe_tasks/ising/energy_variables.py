"""What the ``energy`` probe stores."""

from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

_FIGURES: Final = "arXiv 2502.01739, Fig. 3, 12, 13"
_DISTRIBUTIONS: Final = "arXiv 2502.01739, Fig. 28-30"
_UNITS: Final = (
    "the pre-activation (before ReLU and pooling; one unit per channel, row and column of a convolution) over the test"
    " samples"
)
_UNDEFINED: Final = (
    "NaN for a constant unit (standard deviation at most constant_threshold roundings of its largest magnitude), for"
    " one that is not finite and for a constant feature"
)
_WEIGHTS: Final = "weights w_k = sum_i |z_k^i| / sum_k sum_i |z_k^i| over the test samples i"

ENERGY_VARIABLES: Final = (
    VariableSpec(
        name="correlation",
        dims=(names.NEURON, names.FEATURE),
        bounds=(-1, 1),
        description=f"Pearson r of {_UNITS} with the feature; {_UNDEFINED}.",
        reference=_FIGURES,
    ),
    VariableSpec(
        name="partial_correlation",
        dims=(names.NEURON, names.FEATURE),
        bounds=(-1, 1),
        description=(
            f"Partial correlation of {_UNITS} with the feature, given all the other features that are not constant:"
            f" Pearson r of the residuals of linear regression on them; {_UNDEFINED}, and for a unit or a feature that"
            " the others determine."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="weighted_correlation",
        dims=(names.LAYER, names.FEATURE),
        bounds=(0, 1),
        description=(
            f"sum_k w_k |r_k| over the units of the layer whose correlation is defined, {_WEIGHTS}, without the further"
            " factor 1/|L| of Eq. 6; NaN if no unit has one."
        ),
        reference="arXiv 2502.01739, Eq. 6",
        headline=True,
    ),
    VariableSpec(
        name="weighted_correlation_eq6",
        dims=(names.LAYER, names.FEATURE),
        bounds=(0, 1),
        description=(
            "weighted_correlation / |L| as Eq. 6 is printed, |L| the number of units of the layer whose correlation is"
            " defined; NaN if no unit has one."
        ),
        reference="arXiv 2502.01739, Eq. 6",
    ),
    VariableSpec(
        name="weighted_partial_correlation",
        dims=(names.LAYER, names.FEATURE),
        bounds=(0, 1),
        description=(
            "sum_k w_k |partial r_k| over the units of the layer whose partial correlation with the feature is"
            f" defined, {_WEIGHTS}; NaN if no unit has one."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="best_feature_fraction",
        dims=(names.LAYER, names.FEATURE),
        bounds=(0, 1),
        description=(
            "Units of the layer whose largest |r| is with the feature (the first of those equal within 1e-12), as a"
            " share of the units whose correlation is defined; NaN for a constant feature and if no unit has one."
        ),
        reference=_DISTRIBUTIONS,
    ),
    VariableSpec(
        name="activation_share",
        dims=(names.LAYER, names.FEATURE),
        bounds=(0, 1),
        description=(
            "sum |pre-activation| of the units whose largest |r| is with the feature (the first of those equal within"
            " 1e-12), as a share of that of all units of the layer whose correlation is defined; NaN for a constant"
            " feature and if no unit has one."
        ),
        reference=_DISTRIBUTIONS,
    ),
    VariableSpec(
        name="constant_fraction",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description=(
            "Constant units as a share of all units of the layer; a unit that is not finite counts as not constant."
        ),
        reference="grokprobe",
    ),
)
