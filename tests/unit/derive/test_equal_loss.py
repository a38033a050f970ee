"""Where two runs perform equally well."""

import numpy as np
import pytest

from grokprobe.derive.equal_loss import find_equal_loss

EPOCHS = np.array([0, 5, 10, 20])


@pytest.mark.parametrize(
    ("losses", "target", "expected"),
    [
        ([4.0, 2.0, 1.0, 0.5], 1.04, (10, True)),
        ([4.0, 2.0, 1.0, 0.5], 1.45, (5, False)),  # nearest by the logarithm: 1.41 is half-way
        ([4.0, 2.0, 1.0, 0.5], 0.01, (20, False)),
        ([1.0, 1.0, 1.0, 1.0], 1.0, (0, True)),  # the first of equals
        ([4.0, np.nan, 0.0, np.inf], 1.0, (0, False)),
    ],
)
def test_nearest_by_the_logarithm(losses, target, expected) -> None:
    found = find_equal_loss(EPOCHS, np.array(losses), target)
    assert found is not None
    assert (found.epoch, found.is_near) == expected
    assert found.loss == losses[EPOCHS.tolist().index(found.epoch)]


@pytest.mark.parametrize(("losses", "target"), [([1.0] * 4, np.nan), ([1.0] * 4, 0.0), ([np.nan] * 4, 1.0)])
def test_nothing_to_compare(losses, target) -> None:
    assert find_equal_loss(EPOCHS, np.array(losses), target) is None
