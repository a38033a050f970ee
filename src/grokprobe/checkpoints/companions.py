"""Files that programs write beside checkpoints and that hold no parameters, called what they are."""

import re
from pathlib import Path
from typing import Final

#: Expression for the name of a file, with that of its directory, → what it is.
_COMPANIONS: Final = {
    re.compile(rf"(.*/)?{name}"): meaning
    for name, meaning in {
        r"training_args\.bin": "the arguments of a Hugging Face trainer",
        r"optimizer\.(pt|bin|pth)": "the state of an optimizer",
        r"scheduler\.(pt|bin|pth)": "the state of a learning-rate schedule",
        r"scaler\.(pt|bin|pth)": "the state of a gradient scaler",
        r"rng_state(_[0-9]+)?\.pth": "states of random generators",
        r"fims/epoch-[0-9]+\.pt": "the diagonal of a Fisher matrix",
        r"fim_prune_loss_acc_[^/]*\.pt": "losses and accuracies of a pruned network",
    }.items()
}


def describe_companion(path: Path) -> str:
    """Returns what a file of this name is that turned out to be no checkpoint; empty if the name says nothing.

    Example:
        >>> describe_companion(Path("run/checkpoint-500/training_args.bin"))
        'the arguments of a Hugging Face trainer, no parameters'
    """
    text = f"{path.parent.name}/{path.name}"
    found = next((meaning for pattern, meaning in _COMPANIONS.items() if pattern.fullmatch(text)), "")
    return f"{found}, no parameters" if found else ""
