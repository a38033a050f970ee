"""What the ``progress`` probes store."""

from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

_NANDA: Final = "arXiv 2301.05217, section 5.1"
_WAVES: Final = (
    "cos and sin of 2 pi k (a + b) / p of the key frequencies k (with waves=products those of a - b too), one amplitude"
    " a class"
)
_RESTRICTED: Final = f"only their mean over all pairs and their part in {_WAVES}, kept"
_EXCLUDED: Final = f"their part in {_WAVES}, removed"
_UNDEFINED: Final = "NaN if there is no key frequency"
_SHARE: Final = (
    "squared length of the logits' part in cos and sin of 2 pi k (a + b) / p over all pairs, as a share of that of the"
    " logits minus their mean over the pairs; logits centred over the classes"
)

PROGRESS_VARIABLES: Final = (
    VariableSpec(
        name="full_loss",
        units="nat",
        bounds=(0, None),
        description="Mean loss over all p^2 pairs, training pairs included: what restricted_loss is compared with.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="restricted_loss",
        units="nat",
        bounds=(0, None),
        description=f"Mean loss over all p^2 pairs of the logits with {_RESTRICTED}; {_UNDEFINED}.",
        reference=_NANDA,
        headline=True,
    ),
    VariableSpec(
        name="restricted_accuracy",
        bounds=(0, 1),
        description=f"Fraction of all p^2 pairs that is correct with the logits of restricted_loss; {_UNDEFINED}.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="excluded_loss",
        units="nat",
        bounds=(0, None),
        description=f"Mean loss over the training pairs of the logits with {_EXCLUDED}; {_UNDEFINED}.",
        reference=_NANDA,
        headline=True,
    ),
    VariableSpec(
        name="excluded_accuracy",
        bounds=(0, 1),
        description=f"Fraction of the training pairs that is correct with the logits of excluded_loss; {_UNDEFINED}.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="wave_fraction",
        dims=(names.FREQUENCY,),
        bounds=(0, 1),
        description=f"Of frequency k, the {_SHARE}; NaN if the logits do not vary over the pairs.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="key_wave_fraction",
        bounds=(0, 1),
        description=f"Of all key frequencies, the {_SHARE}; {_UNDEFINED}.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="is_key",
        dims=(names.FREQUENCY,),
        dtype="int64",
        bounds=(0, 1),
        description="1 for a key frequency, else 0.",
        reference="grokprobe",
    ),
)
