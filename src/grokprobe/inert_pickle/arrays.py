"""Numpy arrays and scalars of a pickle, rebuilt from their records with every size checked."""

import math
from typing import Any, Final

import numpy as np

from grokprobe.errors import CorruptCheckpointError
from grokprobe.inert_pickle.records import Global, Inert

#: Element types that are rebuilt: boolean, integer, real and complex numbers of fixed width.
_CODES: Final = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"})
_BYTE_ORDERS: Final = frozenset({"<", ">", "|"})
_MAX_DIMENSIONS: Final = 32
#: More bytes than numpy can address.
_MAX_BYTES: Final = 2**62


def _name_both(name: str, *modules: str) -> frozenset[Global]:
    """Returns a function of numpy under the names of its modules before and since numpy 2."""
    return frozenset(Global(f"numpy.{core}.{module}", name) for core in ("core", "_core") for module in modules)


_RECONSTRUCT: Final = _name_both("_reconstruct", "multiarray")
_FROM_BUFFER: Final = _name_both("_frombuffer", "numeric")
_SCALAR: Final = _name_both("scalar", "multiarray")
_ARRAY: Final = Global("numpy", "ndarray")
_DTYPE: Final = Global("numpy", "dtype")
_ENCODE: Final = Global("_codecs", "encode")
_NO_BYTES: Final = frozenset({Global("__builtin__", "bytes"), Global("builtins", "bytes")})


def as_array(value: Any) -> np.ndarray:
    """Returns the numpy array or scalar that ``value`` is the record of, read-only.

    Args:
        value: from :func:`~grokprobe.inert_pickle.load_inert`, written by numpy 1 or 2 in any protocol: boolean,
            integer, real (to 64 bits) or complex (to 128 bits) numbers in either byte order.

    Returns:
        The array, in the element type and memory order it had, over the bytes of the record; () is the shape of a
        scalar.

    Raises:
        CorruptCheckpointError: ``value`` is no such record (objects, strings, dates, subclasses of an array), or its
            bytes are not as many as its shape says. The message does not say where: the caller knows.
    """
    maker = value.maker if isinstance(value, Inert) else None
    if maker in _RECONSTRUCT:
        return _from_state(value)
    if maker in _FROM_BUFFER:
        return _from_buffer(value)
    if maker in _SCALAR:
        return _from_scalar(value)
    raise _not("a numpy array", value)


def _from_state(value: Inert) -> np.ndarray:
    match value:
        case Inert(args=(of, (0,), _), state=(1, shape, dtype, int(is_fortran), data)) if of == _ARRAY:
            return _build(data, _read_dtype(dtype), shape, "F" if is_fortran else "C")
    raise _not("the state of a numpy array", value)


def _from_buffer(value: Inert) -> np.ndarray:
    match value.args:
        case (data, dtype, shape, "C" | "F" as order):
            return _build(data, _read_dtype(dtype), shape, order)
        case (data, dtype, shape, "K", tuple(axes)):
            array = _build(data, _read_dtype(dtype), shape, "C")
            if all(type(axis) is int for axis in axes) and sorted(axes) == [*range(array.ndim)]:
                return array.transpose(axes)
    raise _not("the buffer of a numpy array", value)


def _from_scalar(value: Inert) -> np.ndarray:
    match value.args:
        case (dtype, data):
            return _build(data, _read_dtype(dtype), (), "C")
    raise _not("a numpy scalar", value)


def _read_dtype(value: object) -> np.dtype[Any]:
    match value:
        case Inert(maker=maker, args=(str(code), _, _), state=(3 | 4, str(order), *_)) if maker == _DTYPE:
            if code in _CODES and order in _BYTE_ORDERS:
                return np.dtype(order + code)
            raise CorruptCheckpointError(
                f"expected numbers of fixed width, found the numpy type {(order + code)[:20]!r}"
            )
    raise _not("the element type of a numpy array", value)


def _build(data: object, dtype: np.dtype[Any], shape: object, order: Any) -> np.ndarray:
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise _not(f"a shape of at most {_MAX_DIMENSIONS} dimensions", shape)
    if any(type(length) is not int or not 0 <= length < _MAX_BYTES for length in shape):
        raise CorruptCheckpointError("expected lengths from 0 in the shape of a numpy array, found others")
    content = _read_bytes(data)
    spanned = math.prod(max(length, 1) for length in shape) * dtype.itemsize
    if len(content) != math.prod(shape) * dtype.itemsize or spanned >= _MAX_BYTES:
        raise CorruptCheckpointError(
            f"expected as many bytes as shape {shape!s:.100} of {dtype} has, found {len(content)} bytes"
        )
    if dtype.kind == "b" and content.translate(None, b"\0\1"):
        raise CorruptCheckpointError("expected the bytes 0 and 1 of booleans, found others")
    array = np.ndarray(shape, dtype, buffer=content, order=order)
    array.flags.writeable = False
    return array


def _read_bytes(value: object) -> bytes | bytearray:
    match value:
        case bytes() | bytearray():
            return value
        case str():  # as Python 2 wrote it
            return _encode(value)
        case Inert(maker=maker, args=(str(text), "latin1")) if maker == _ENCODE:  # as Python 3 writes protocols 0 to 2
            return _encode(text)
        case Inert(maker=maker, args=()) if maker in _NO_BYTES:
            return b""
    raise _not("the bytes of a numpy array", value)


def _encode(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise CorruptCheckpointError("expected the bytes of a numpy array, found text") from error


def _not(expected: str, value: object) -> CorruptCheckpointError:
    found = repr(value) if isinstance(value, Inert) else f"a {type(value).__name__}"
    return CorruptCheckpointError(f"expected {expected}, found {found}")
