"""What is written at one epoch of one run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grokprobe.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The result at one epoch of one run."""

    #: One array per variable; empty where nothing was measured.
    values: Mapping[str, np.ndarray]
    #: What happened.
    status: Status
    #: Digest of the checkpoint's file.
    checkpoint_digest: str = ""
