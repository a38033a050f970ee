"""Where to compute."""

import torch

from grokprobe.errors import UsageError


def find_device(name: str) -> str:
    """Returns the torch device for ``name``; ``auto`` is the GPU where there is one, else the CPU.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without the back-end
        found = str(error).splitlines()[0]
        raise UsageError(f"--device: expected auto or a device of this machine, found {name!r} ({found})") from error
