"""Classes that exist while a file is written and not when it is read, as those of a stranger's program do."""

import contextlib
import sys
import types
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def known_as(**names: type) -> Iterator[None]:
    """Lets each class be pickled under a name of a module that exists only meanwhile.

    Args:
        **names: class by name, with ``__`` for the dots of the module: ``models__constructor__Model``.
    """
    before = {cls: (cls.__module__, cls.__qualname__, cls.__name__) for cls in names.values()}
    added = []
    try:
        for name, cls in names.items():
            *parts, own = name.split("__")
            for k in range(1, len(parts) + 1):
                module = ".".join(parts[:k])
                if module not in sys.modules:
                    sys.modules[module] = types.ModuleType(module)
                    added.append(module)
            setattr(sys.modules[".".join(parts)], own, cls)
            cls.__module__, cls.__qualname__, cls.__name__ = ".".join(parts), own, own
        yield
    finally:
        for module in added:
            del sys.modules[module]
        for cls, place in before.items():
            cls.__module__, cls.__qualname__, cls.__name__ = place


class Unknown:
    """A class that no reader knows."""


def save_with_unknown(tensors, path, **options):
    with known_as(strange__Unknown=Unknown):
        torch.save({"model": tensors, "other": Unknown()}, path, **options)
