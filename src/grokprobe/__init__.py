"""Checkpoints in, one labelled dataset out: features, compression and information geometry of how networks learn.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from grokprobe.version import __version__

if TYPE_CHECKING:
    from grokprobe.analysis import analyze
    from grokprobe.checkpoints import discover
    from grokprobe.comparison import compare
    from grokprobe.hookspecs import hookimpl
    from grokprobe.live import measure
    from grokprobe.store import compact, open_results, verify
    from grokprobe.training.request import train

__all__ = [
    "__version__",
    "analyze",
    "compact",
    "compare",
    "discover",
    "hookimpl",
    "measure",
    "open_results",
    "train",
    "verify",
]

_HOMES: Final = {
    "analyze": "grokprobe.analysis",
    "compact": "grokprobe.store",
    "compare": "grokprobe.comparison",
    "discover": "grokprobe.checkpoints",
    "hookimpl": "grokprobe.hookspecs",
    "measure": "grokprobe.live",
    "open_results": "grokprobe.store",
    "train": "grokprobe.training.request",
    "verify": "grokprobe.store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'grokprobe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
