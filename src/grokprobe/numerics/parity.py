"""A function split by what it does when its input changes sign."""

from typing import Final, Literal

import torch

#: ``half``: the odd and the even part, which add to the function. ``authors``: the split of the code of
#: arXiv 2502.01739, without the factor ½.
ParityForm = Literal["half", "authors"]

#: Names of the components, the function itself first.
COMPONENTS: Final[dict[ParityForm, tuple[str, str, str]]] = {
    "half": ("full", "odd", "even"),
    "authors": ("full", "linear", "non_linear"),
}


def split_by_parity(
    outputs: torch.Tensor, mirrored: torch.Tensor, form: ParityForm = "half"
) -> dict[str, torch.Tensor]:
    """Splits f(x) into a part that changes sign with x and a part that does not.

    - ``half``: odd = (f(x) − f(−x)) / 2 and even = (f(x) + f(−x)) / 2.
    - ``authors``: non_linear = f(x) + f(−x) and linear = f(x) − non_linear = −f(−x). It is not a decomposition into odd
      and even: its linear part is that of an odd function only.

    In both the two parts add to f. A linear function is its own odd part and its own linear part; the bias of an affine
    one is its even part. In a network the even part comes from nonlinearities and biases.

    Args:
        outputs: f(x), any shape.
        mirrored: f(−x), the same shape.
        form: which split.

    Returns:
        float64 by name, in the order of :data:`COMPONENTS`, each of the shape of ``outputs``.

    Example:
        >>> parts = split_by_parity(torch.tensor([5.0]), torch.tensor([1.0]))
        >>> assert parts["odd"] == 2 and parts["even"] == 3
    """
    forwards, backwards = outputs.detach().to(torch.float64), mirrored.detach().to(torch.float64)
    if form == "half":
        parts = (forwards, (forwards - backwards) / 2, (forwards + backwards) / 2)
    else:
        parts = (forwards, -backwards, forwards + backwards)
    return dict(zip(COMPONENTS[form], parts, strict=True))
