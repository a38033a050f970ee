"""Independent random streams from one seed."""

from typing import Final

import numpy as np
import torch

#: Spawn keys of the streams that one ``seed`` opens. They are part of the format of native runs: never renumbered.
DATA_STREAM: Final = 0
INITIALISATION_STREAM: Final = 1
ORDER_STREAM: Final = 2


def build_generator(seed: int, *spawn_key: int) -> torch.Generator:
    """Returns a generator for the stream ``spawn_key`` of ``seed``.

    Streams with different keys are statistically independent (numpy ``SeedSequence``), so drawing more numbers from
    one never changes another.

    Example:
        >>> a, b = build_generator(0, DATA_STREAM), build_generator(0, ORDER_STREAM)
        >>> assert torch.rand(1, generator=a) != torch.rand(1, generator=b)
    """
    state = np.random.SeedSequence(seed, spawn_key=spawn_key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
