"""What is left of the classes, functions and objects of a pickle when nothing is imported or called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that a pickle names; only its name, never the thing."""

    #: Dotted name of the module.
    module: str
    #: Qualified name within the module.
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False, repr=False)
class Inert:
    """What a pickle would make by calling ``maker(*args, **kwargs)``, as the record of that call.

    Two records are equal only if they are one. A set is the record of a call of ``builtins.set`` in every protocol.
    """

    #: What would be called, or what class would be instantiated.
    maker: "Global | Inert"
    #: Positional arguments.
    args: tuple[Any, ...] = ()
    #: Keyword arguments; None if there are none.
    kwargs: Mapping[Any, Any] | None = None
    #: What ``__setstate__`` would be given, or would become ``__dict__``; None if there is no state.
    state: Any = None
    #: What would be appended, or added to a set.
    items: Sequence[Any] = ()
    #: (key, value) of what would be set as ``object[key] = value``. The keys can be hashed.
    entries: Sequence[tuple[Any, Any]] = ()

    def __repr__(self) -> str:
        name = str(self.maker) if isinstance(self.maker, Global) else "result of a call"
        return f"<inert {name[:100]!r}>"  # quoted, as the file may have put anything into a name
