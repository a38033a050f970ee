"""Where to compute."""

from typing import Final

import torch

from grokprobe.errors import UsageError

DEVICE_TYPES: Final = ("cpu", "cuda", "mps")


def find_device(name: str) -> str:
    """Returns the torch device for ``name``; ``auto`` is the GPU where there is one, else the CPU.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in DEVICE_TYPES:
        raise UsageError(f"--device: expected auto, {', '.join(DEVICE_TYPES)}, found {name!r}")
    try:
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without the back-end
        found = str(error).splitlines()[0]
        raise UsageError(f"--device: expected auto or a device of this machine, found {name!r} ({found})") from error
