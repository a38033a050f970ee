"""The stack machine of pickle, with the half left out that imports and calls."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, BinaryIO, Final

from grokprobe.inert_pickle.records import Global, Inert
from grokprobe.inert_pickle.values import VALUES, PickleFaultError, PickleSource

_SET: Final = Global("builtins", "set")
_FROZENSET: Final = Global("builtins", "frozenset")
_MAX_PROTOCOL: Final = 5
_MAX_KEY_PARTS: Final = 16
_MAX_KEY_BITS: Final = 64


class PickleRefusalError(Exception):
    """The bytes ask for what is not given; says for what."""


class Machine:
    """The stack machine: what lies since the last mark, what lies below each mark, and what was stored."""

    __slots__ = ("below", "file", "memo", "persistent_load", "source", "stack")

    def __init__(self, file: BinaryIO, persistent_load: Callable[[Any], Any] | None) -> None:
        self.file = file
        self.source = PickleSource(file)
        self.persistent_load = persistent_load
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}  # a dict, so that a large index takes no more memory than a small one

    def run(self, max_operations: int) -> Any:
        """Follows the operations to the STOP and returns what is then on top.

        Raises:
            PickleRefusalError: more than ``max_operations``, or one that reaches outside the file.
            ValueError, IndexError, KeyError: the bytes are no pickle.
        """
        source, read = self.source, self.file.read
        for _ in repeat(None, max_operations):
            code = read(1)
            value = VALUES.get(code)
            if value is not None:
                self.stack.append(value(source))
            elif code == _STOP:
                return self.stack.pop()
            else:
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise PickleFaultError(f"the operation {code!r}, which pickle does not have" if code else "its end")
                operation(self)
        raise PickleRefusalError(f"more than {max_operations} operations")

    def pop_mark(self) -> list[Any]:
        """Returns what lies since the last mark, and uncovers what lies below it."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def push(self, value: object) -> None:
        """Lays ``value`` on top."""
        self.stack.append(value)

    def push_call(self, maker: object, args: object, kwargs: object = None) -> None:
        """Lays the record of ``maker(*args, **kwargs)`` on top."""
        if not isinstance(maker, (Global, Inert)):
            raise PickleFaultError(f"a call of {_describe(maker)}")
        if not isinstance(args, tuple) or not isinstance(kwargs, dict | None):
            raise PickleFaultError(f"a call with {_describe(args)} and {_describe(kwargs)} for arguments")
        self.stack.append(Inert(maker, args, kwargs))

    def store(self, index: int) -> None:
        """Stores what is on top, to be fetched by ``index``."""
        if index < 0:
            raise PickleFaultError("a negative index")
        self.memo[index] = self.stack[-1]


def _describe(value: object) -> str:
    return f"a {type(value).__name__}"  # never its repr: it may be as large as the file, or contain itself


def _refuse_extension(_machine: Machine) -> None:
    raise PickleRefusalError("a class named by a number of the extension registry")


def _refuse_buffer(_machine: Machine) -> None:
    raise PickleRefusalError("a buffer outside the file")


def _check_protocol(machine: Machine) -> None:
    if (protocol := machine.source.take(1)[0]) > _MAX_PROTOCOL:
        raise PickleFaultError(f"protocol {protocol}, newer than {_MAX_PROTOCOL}")


def _check_frame(machine: Machine) -> None:
    machine.source.check_left(int.from_bytes(machine.source.take(8), "little"))


def _push_mark(machine: Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


def _push_persistent(machine: Machine, identifier: object) -> None:
    if machine.persistent_load is None:
        raise PickleRefusalError("a persistent id, the name of something outside the file")
    machine.push(machine.persistent_load(identifier))


def _push_named(machine: Machine) -> None:
    module = machine.source.take_line().decode("utf-8")
    machine.push(Global(module, machine.source.take_line().decode("utf-8")))


def _push_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise PickleFaultError(f"{_describe(name)} of {_describe(module)} for a name")
    machine.push(Global(module, name))


def _push_tuple(machine: Machine, size: int) -> None:
    values = tuple(machine.stack[-size:])
    if len(values) < size:
        raise IndexError(size)
    machine.stack[-size:] = [values]


def _push_dict(machine: Machine) -> None:
    values = machine.pop_mark()
    machine.push({})
    _set_entries(machine, values)


def _push_instance(machine: Machine) -> None:
    values = machine.pop_mark()
    _push_named(machine)
    machine.push_call(machine.stack.pop(), tuple(values))


def _push_object(machine: Machine) -> None:
    maker, *args = machine.pop_mark() or [None]
    machine.push_call(maker, tuple(args))


def _push_reduced(machine: Machine) -> None:
    args, maker = machine.stack.pop(), machine.stack.pop()
    machine.push_call(maker, args)


def _push_reduced_with_keywords(machine: Machine) -> None:
    kwargs, args, maker = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.push_call(maker, args, kwargs)


def _set_state(machine: Machine) -> None:
    state = machine.stack.pop()
    target = machine.stack[-1]
    if not isinstance(target, Inert) or target.state is not None:
        raise PickleFaultError(f"a state for {_describe(target)} that takes none, or has one")
    target.state = state


def _append_items(machine: Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Inert):
        target.items = _extend(target.items, values)
    else:
        raise PickleFaultError(f"items for {_describe(target)}")


def _extend(collected: Sequence[Any], added: Iterable[Any]) -> list[Any]:
    extended = collected if isinstance(collected, list) else []  # nothing collected is the empty tuple
    extended.extend(added)
    return extended


def _set_entries(machine: Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if len(values) % 2:
        raise PickleFaultError("a key without a value")
    for key in values[::2]:
        _check_key(key)
    entries = zip(values[::2], values[1::2], strict=True)
    if isinstance(target, dict):
        target.update(entries)
    elif isinstance(target, Inert):
        target.entries = _extend(target.entries, entries)
    else:
        raise PickleFaultError(f"entries for {_describe(target)}")


_KEY_TYPES: Final = frozenset({type(None), bool, int, float, str, bytes, Global, Inert})


def _check_key(key: object) -> None:
    """Lets through only keys whose hash is cheap: that of nested tuples takes recursion, or time without limit."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > _MAX_KEY_PARTS or not {*map(type, parts)} <= _KEY_TYPES:
        raise PickleFaultError(f"{_describe(key)} for a key")
    if any(isinstance(part, int) and part.bit_length() > _MAX_KEY_BITS for part in parts):
        raise PickleFaultError(f"an integer of more than {_MAX_KEY_BITS} bits for a key")


_STOP: Final = b"."

#: Operation that does more than push a value it reads → what it does.
_OPERATIONS: Final[dict[bytes, Callable[[Machine], None]]] = {
    b"\x80": _check_protocol,
    b"\x95": _check_frame,
    b"(": _push_mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": lambda machine: machine.push(machine.stack[-1]),
    b"p": lambda machine: machine.store(int(machine.source.take_line())),
    b"q": lambda machine: machine.store(machine.source.take(1)[0]),
    b"r": lambda machine: machine.store(int.from_bytes(machine.source.take(4), "little")),
    b"\x94": lambda machine: machine.store(len(machine.memo)),
    b"g": lambda machine: machine.push(machine.memo[int(machine.source.take_line())]),
    b"h": lambda machine: machine.push(machine.memo[machine.source.take(1)[0]]),
    b"j": lambda machine: machine.push(machine.memo[int.from_bytes(machine.source.take(4), "little")]),
    b"\x85": partial(_push_tuple, size=1),
    b"\x86": partial(_push_tuple, size=2),
    b"\x87": partial(_push_tuple, size=3),
    b"t": lambda machine: machine.push(tuple(machine.pop_mark())),
    b"l": lambda machine: machine.push(machine.pop_mark()),
    b"d": _push_dict,
    b"\x8f": lambda machine: machine.push_call(_SET, ()),
    b"\x91": lambda machine: machine.push_call(_FROZENSET, (machine.pop_mark(),)),
    b"\x90": lambda machine: _append_items(machine, machine.pop_mark()),
    b"a": lambda machine: _append_items(machine, [machine.stack.pop()]),
    b"e": lambda machine: _append_items(machine, machine.pop_mark()),
    b"s": lambda machine: _set_entries(machine, [*reversed([machine.stack.pop(), machine.stack.pop()])]),
    b"u": lambda machine: _set_entries(machine, machine.pop_mark()),
    b"c": _push_named,
    b"\x93": _push_global,
    b"R": _push_reduced,
    b"\x81": _push_reduced,
    b"\x92": _push_reduced_with_keywords,
    b"i": _push_instance,
    b"o": _push_object,
    b"b": _set_state,
    b"P": lambda machine: _push_persistent(machine, machine.source.take_line().decode("ascii")),
    b"Q": lambda machine: _push_persistent(machine, machine.stack.pop()),
    b"\x82": _refuse_extension,
    b"\x83": _refuse_extension,
    b"\x84": _refuse_extension,
    b"\x97": _refuse_buffer,
    b"\x98": _refuse_buffer,
}
