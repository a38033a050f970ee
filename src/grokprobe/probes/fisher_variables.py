"""What the ``fisher`` probe stores."""

from typing import Final

from grokprobe import names
from grokprobe.variables import VariableSpec

_EQUATION_14: Final = "arXiv 2502.01739, Eq. 14"
_WHICH: Final = (
    "the Fisher matrix of the option variant, the mean over the samples of the options split and num_samples, in"
    " coordinates of all parameters that change along the run, biases included"
)

#: Stored always.
FISHER_VARIABLES: Final = (
    VariableSpec(
        name="trace",
        units="nat/weight^2",
        bounds=(0, None),
        description=f"Sum of the diagonal of {_WHICH}.",
        reference=_EQUATION_14,
        headline=True,
    ),
    VariableSpec(
        name="gini",
        bounds=(0, 1),
        description=(
            "Gini coefficient of the diagonal, sum_ij |F_ii - F_jj| / (2 n^2 mean F_ii) over all n^2 ordered pairs of"
            " parameters; NaN if all entries are zero."
        ),
        reference="arXiv 2502.01739, appendix",
        headline=True,
    ),
    VariableSpec(
        name="sorted_diagonal",
        dims=(names.RANK,),
        units="nat/weight^2",
        bounds=(0, None),
        description=f"Entries of the diagonal of {_WHICH}, descending, at the ranks of the coordinate.",
        reference="arXiv 2502.01739, Fig. 20",
    ),
)

#: Stored on request.
DIAGONAL: Final = VariableSpec(
    name="diagonal",
    dims=(names.PARAMETER,),
    units="nat/weight^2",
    bounds=(0, None),
    description=f"Diagonal of {_WHICH}.",
    reference=_EQUATION_14,
)

#: Stored on request.
EIGENVALUE: Final = VariableSpec(
    name="eigenvalue",
    dims=(names.RANK,),
    units="nat/weight^2",
    bounds=(0, None),
    description=(
        f"Eigenvalues of {_WHICH}, descending, at the ranks of the coordinate; exactly zero beyond the largest possible"
        " rank, samples times directions of the outputs. NaN throughout if a gradient is not finite."
    ),
    reference="grokprobe",
)
