"""What is stored of a compressor."""

from dataclasses import replace
from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

CURVES: Final = (
    VariableSpec(
        name="accuracy",
        dims=(names.AMOUNT,),
        bounds=(0, 1),
        description="Share of the test split that the compressed network classifies correctly.",
        reference="arXiv 2502.01739, section 4",
    ),
    VariableSpec(
        name="loss",
        dims=(names.AMOUNT,),
        units="nat",
        description="Mean loss of the compressed network over the test split.",
        reference="arXiv 2502.01739, appendix F",
    ),
)

NUMBERS: Final = (
    VariableSpec(
        name="area",
        bounds=(0, 1),
        description=(
            "Area under the accuracy over the amounts, by trapezoids on the grid, divided by the length of the grid's"
            " range, which is 1 for every built-in compressor."
        ),
        reference="arXiv 2502.01739, section 4",
    ),
    VariableSpec(
        name="compressibility",
        bounds=(1, None),
        description=(
            "c = 1 / (1 - area). With N equal steps at most 2 N / (1 - accuracy at amount 1); infinite if accuracy is 1"
            " at every amount, the last included."
        ),
        reference="arXiv 2502.01739, Eq. 5",
        headline=True,
    ),
    VariableSpec(
        name="compressibility_error",
        bounds=(0, None),
        description=(
            "How far above `compressibility` it can lie without a grid, if accuracy is monotone within each step:"
            " 1 / (1 - area - e) - c with e = sum h |change of accuracy| / 2 over the steps h; infinite if"
            " e >= 1 - area. Below, it is less far."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="amount_at_95",
        bounds=(0, 1),
        description=(
            "Largest amount of the grid with accuracy >= 0.95 there and at all smaller amounts; NaN if accuracy is less"
            " at amount 0."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="amount_at_95_relative",
        bounds=(0, 1),
        description=(
            "Largest amount of the grid with accuracy >= 0.95 times that at amount 0, there and at all smaller amounts;"
            " NaN if accuracy is 0 at amount 0."
        ),
        reference="grokprobe",
    ),
)

#: All parts of the network at once.
TOGETHER: Final = (*CURVES, *NUMBERS)

#: One part at a time.
BY_LAYER: Final = tuple(
    replace(
        spec,
        dims=(names.LAYER, *spec.dims),
        description=f"{spec.description} One layer is compressed at a time, the others are as they were.",
    )
    for spec in TOGETHER
)
