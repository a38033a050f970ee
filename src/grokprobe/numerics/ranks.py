"""Which ranks of a long sorted list are worth keeping."""

import numpy as np


def choose_ranks(length: int, count: int | None) -> np.ndarray:
    """Returns ranks between 1 and ``length``, both included, spread evenly in their logarithm.

    A spectrum over many orders of magnitude is drawn against the logarithm of the rank, where these are as good as all.

    Args:
        length: of the sorted list, at least 1.
        count: how many, at least 2; fewer are returned where rounding to whole numbers makes some equal. None for all.

    Returns:
        Increasing int64.

    Example:
        >>> assert choose_ranks(1000, 4).tolist() == [1, 10, 100, 1000]
        >>> assert choose_ranks(3, None).tolist() == [1, 2, 3]
    """
    if count is None or count >= length:
        return np.arange(1, length + 1)
    return np.unique(np.rint(np.geomspace(1, length, count)).astype(np.int64))
