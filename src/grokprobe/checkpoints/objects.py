"""Objects of a pickle as plain mappings: attributes by name, and a network as its state dict.

What the interpreter of :mod:`grokprobe.inert_pickle` records is turned into dicts, lists and tensors that are read when
they are wanted. An object becomes the mapping of its attributes; a ``torch.nn.Module`` the mapping that its
``state_dict()`` would return. A class is never looked up: it stays the name it has in the file.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from grokprobe.checkpoints.stored_tensors import (
    STORAGE_TYPES,
    TORCH_DTYPES,
    AnyTensor,
    StoredTensor,
    UnreadTensor,
    build_tensor,
    is_tensor_record,
)
from grokprobe.checkpoints.torch_files import load_nested_storage
from grokprobe.errors import CorruptCheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle import Global, Inert, as_array

#: Names of a state dict, and modules visited for them; one module may stand under many names.
_MAX_NAMES: Final = 100_000
_MAX_MODULE_DEPTH: Final = 100
_MAX_NAME_LENGTH: Final = 1000
#: A parameter around a tensor of a subclass around a tensor.
_MAX_WRAPPINGS: Final = 4
_RECONSTRUCTORS: Final = frozenset({Global("copyreg", "_reconstructor"), Global("copy_reg", "_reconstructor")})
_SIZE: Final = Global("torch", "Size")
_SETS: Final = frozenset(
    Global(module, name) for module in ("builtins", "__builtin__") for name in ("set", "frozenset")
)
#: Classes and functions whose meaning is known and taken into account; others are told to whoever asks.
_KNOWN: Final = frozenset(
    {
        Global("collections", "OrderedDict"),
        Global("collections", "defaultdict"),
        Global("torch", "device"),
        Global("_codecs", "encode"),
        _SIZE,
        *_SETS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The plain content of a pickle."""

    #: Dicts, lists, tensors (unread), numbers and strings; a record that is none of them stays an :class:`Inert`.
    content: Any
    #: Classes and functions that the file names and that were neither imported nor called, in order.
    unread: tuple[str, ...]


class ModuleState(Mapping[str, AnyTensor]):
    """What ``state_dict()`` of a network would return, from its attributes."""

    def __init__(self, attributes: Mapping[str, Any], maker: str, path: Path) -> None:
        #: The object's own attributes.
        self.attributes = attributes
        #: Name of its class.
        self.maker = maker
        self._path = path

    def __getitem__(self, name: str) -> AnyTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @functools.cached_property
    def _tensors(self) -> dict[str, AnyTensor]:
        found: dict[str, AnyTensor] = {}
        todo: list[tuple[str, ModuleState, int]] = [("", self, 0)]
        for _ in range(_MAX_NAMES):
            if not todo:
                return found
            prefix, module, depth = todo.pop()
            own = {prefix + name: tensor for name, tensor in module.own_tensors()}
            found.update(own)
            children = [(f"{prefix}{name}.", child, depth + 1) for name, child in module.children()]
            longest = max(map(len, [*own, *(name for name, *_ in children)]), default=0)
            if longest > _MAX_NAME_LENGTH or depth > _MAX_MODULE_DEPTH or len(found) > _MAX_NAMES:
                break
            todo.extend(children)
        raise UnsafeCheckpointError(
            f"{self._path}: expected a network of at most {_MAX_NAMES} tensors, {_MAX_MODULE_DEPTH} levels deep,"
            " found more (a module may contain itself); nothing in it was executed; save its state_dict() instead"
        )

    def own_tensors(self) -> Iterator[tuple[str, AnyTensor]]:
        """Yields its own parameters and lasting buffers, without those of the modules in it."""
        passing = self.attributes.get("_non_persistent_buffers_set")
        left_out = {name for name in passing if isinstance(name, str)} if isinstance(passing, list) else set()
        for table, without in (("_parameters", set[str]()), ("_buffers", left_out)):
            for name, tensor in _entries(self.attributes.get(table)):
                if isinstance(tensor, AnyTensor) and name not in without:
                    yield name, tensor

    def children(self) -> list[tuple[str, "ModuleState"]]:
        """Returns the modules in it, the last one first."""
        entries = reversed(list(_entries(self.attributes.get("_modules"))))
        return [(name, child) for name, child in entries if isinstance(child, ModuleState)]


def unpack(content: Any, path: Path) -> Unpacked:
    """Returns ``content`` as plain values. Neither nesting nor sharing in it costs more than its size.

    Args:
        content: from :mod:`~grokprobe.checkpoints.torch_files`.
        path: the file, for messages.

    Raises:
        CorruptCheckpointError: a tensor that is not described as torch does it.
    """
    unpacking = _Unpacking(path)
    plain = unpacking.convert(content)
    while unpacking.todo:
        fill = unpacking.todo.pop()
        fill()
    return Unpacked(content=plain, unread=tuple(unpacking.unread))


class _Unpacking:
    """Shells of containers first, their content later, so that nesting takes no recursion and sharing is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.todo: list[Callable[[], None]] = []
        self.unread: dict[str, None] = {}
        self._done: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        if isinstance(value, Global):
            self._note(value)
            return value
        if not isinstance(value, (dict, list, tuple, Inert)):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = self._shell(value)
        return self._done[id(value)]

    def _shell(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...] | Inert) -> Any:
        if isinstance(value, dict):
            return self._dict(value.items())
        if not isinstance(value, Inert):
            return self._list(value)
        if is_tensor_record(value):
            return self._tensor(value)
        if isinstance(value.maker, Global) and value.maker.module.startswith("numpy"):
            return self._array(value)
        return self._object(value)

    def _dict(self, *parts: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        shell: dict[Any, Any] = {}
        self.todo.append(
            lambda: shell.update({key: self.convert(value) for entries in parts for key, value in entries})
        )
        return shell

    def _list(self, values: Iterable[Any]) -> list[Any]:
        shell: list[Any] = []
        self.todo.append(lambda: shell.extend(map(self.convert, values)))
        return shell

    def _tensor(self, record: Inert) -> StoredTensor | UnreadTensor:
        try:
            return build_tensor(self._with_storage(record, _MAX_WRAPPINGS))
        except CorruptCheckpointError as error:
            raise CorruptCheckpointError(f"{self.path}: truncated or damaged: {error}") from error

    def _with_storage(self, record: Inert, depth: int) -> Inert:
        """Puts the storage that a plain pickle holds as the bytes of a torch file in its place."""
        match record.args:
            case (Inert() as first, *rest) if depth:
                wrapped = self._with_storage(first, depth - 1) if is_tensor_record(first) else first
                inner = load_nested_storage(first, self.path) or wrapped
                return Inert(record.maker, (inner, *rest), record.kwargs, record.state)
        return record

    def _array(self, record: Inert) -> Any:
        try:
            array = as_array(record)
        except CorruptCheckpointError:  # an element type, a generator: whatever it is, it is no array of numbers
            self._note(record.maker)
            return record
        if array.ndim == 0:
            return array.item()
        if array.dtype.kind != "f":
            return UnreadTensor(maker=f"numpy array of {array.dtype}")
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))

    def _object(self, record: Inert) -> Any:
        maker = record.args[0] if record.maker in _RECONSTRUCTORS and record.args else record.maker
        self._note(maker)
        attributes = dict(_attributes(record.state))
        if isinstance(attributes.get("_modules"), (dict, Inert)) and "_parameters" in attributes:
            return ModuleState(self._dict(attributes.items()), str(maker), self.path)
        if maker in (_SIZE, *_SETS) and record.args:
            return self.convert(record.args[0])
        pairs = _ordered_pairs(record)
        if record.entries or attributes or pairs or str(maker).endswith("Dict"):
            return self._dict(attributes.items(), pairs, record.entries)
        return self._list(record.items) if record.items else record

    def _note(self, maker: object) -> None:
        while isinstance(maker, Inert):  # what is called is itself what a call would return
            maker = maker.maker
        if isinstance(maker, Global) and maker not in _KNOWN and not _is_type_of_torch(maker):
            self.unread.setdefault(repr(str(maker)[:120])[1:-1])  # on one line, whatever the file put into it


def _attributes(state: Any) -> Iterator[tuple[str, Any]]:
    """Yields what would become attributes: of ``__dict__``, and of slots, which come as a second dict."""
    for part in state if isinstance(state, tuple) else (state,):
        yield from _entries(part)


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    entries = value.items() if isinstance(value, Mapping) else value.entries if isinstance(value, Inert) else ()
    return ((key, item) for key, item in entries if isinstance(key, str))


def _ordered_pairs(record: Inert) -> list[tuple[Any, Any]]:
    """Returns the entries of an ordered mapping as old pickles write them: a list of pairs for argument."""
    match record:
        case Inert(maker=Global(name="OrderedDict"), args=([*pairs],)):
            return [
                (pair[0], pair[1])
                for pair in pairs
                if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
            ]
    return []


def _is_type_of_torch(maker: Global) -> bool:
    """Says whether a name is that of an element type or storage, which files hold as values."""
    return maker.module == "torch" and (maker.name in STORAGE_TYPES or maker.name in TORCH_DTYPES)
