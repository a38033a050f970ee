"""Numpy arrays of a pickle are rebuilt as numpy itself would, and no size in the file is trusted."""

import io
import itertools
import pickle

import numpy as np
import pytest

from grokprobe.errors import CorruptCheckpointError
from grokprobe.inert_pickle import Global, Inert, as_array, load_inert

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
CODES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(), (0,), (1,), (3,), (2, 3), (2, 0, 3), (2, 3, 4)]


def reload(value, protocol):
    return load_inert(io.BytesIO(pickle.dumps(value, protocol)), "made.pickle")


def make(shape, code, order="<"):
    values = np.arange(np.prod(shape, dtype=int)) % 2 if code == "b1" else np.arange(np.prod(shape, dtype=int)) * 1.25
    return values.astype(np.dtype(code).newbyteorder(order)).reshape(shape)


def check_same(rebuilt, array):
    assert type(rebuilt) is np.ndarray
    assert (rebuilt.dtype.str, rebuilt.shape) == (array.dtype.str, array.shape)
    assert rebuilt.tobytes() == array.tobytes()
    assert rebuilt.flags.f_contiguous == array.flags.f_contiguous
    assert not rebuilt.flags.writeable


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_element_types(protocol, code, order):
    for shape in SHAPES:
        array = make(shape, code, order)
        check_same(as_array(reload(array, protocol)), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_memory_orders(protocol):
    array = make((2, 3, 4), "f8")
    for view in (np.asfortranarray(array), array.T, array.transpose(1, 0, 2), array[:, ::2], array[::-1]):
        rebuilt = as_array(reload(view, protocol))
        np.testing.assert_array_equal(rebuilt, view)
    check_same(as_array(reload(np.asfortranarray(array), protocol)), np.asfortranarray(array))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", CODES)
def test_scalars(protocol, code):
    scalar = make((3,), code)[1]
    rebuilt = as_array(reload(scalar, protocol))
    assert (rebuilt.shape, rebuilt.dtype, rebuilt.item()) == ((), scalar.dtype, scalar.item())


@pytest.mark.parametrize("protocol", [3, 5])
def test_read_only_arrays(protocol):
    array = make((2, 3), "f4")
    array.flags.writeable = False
    check_same(as_array(reload(array, protocol)), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_1_named_its_modules_otherwise(protocol):
    array = make((2, 3), "f8")
    data = pickle.dumps(array, protocol)
    modern, old = b"numpy._core.", b"numpy.core."
    assert modern in data
    shorter = data.replace(modern, old)
    if protocol >= 4:  # the string has its length before it, and lies in a frame
        at = shorter.index(old) - 1
        shorter = shorter[:at] + bytes([data[at] - 1]) + shorter[at + 1 :]
        shorter = shorter.replace(
            data[2:11], b"\x95" + (int.from_bytes(data[3:11], "little") - 1).to_bytes(8, "little")
        )
    assert b"_core" not in shorter
    check_same(as_array(load_inert(io.BytesIO(shorter), "made")), array)


def test_python_2_wrote_bytes_as_strings():
    data = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'i2'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x01\\x00\\xff\\xff'\ntb."
    )
    np.testing.assert_array_equal(as_array(load_inert(io.BytesIO(data), "made")), np.array([1, -1], "i2"))


class Vector(np.ndarray):
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.array([None, {}], object),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
        np.zeros(2, "V3"),
        np.zeros(2, np.longdouble),
        np.str_("text"),
        np.datetime64("2020-01-01"),
        np.zeros(2).view(Vector),
        np.ma.masked_array([1.0], [True]),
        np.dtype("f8"),
        np.ndarray,
        {1},
        3.0,
        None,
        [1],
    ],
    ids=lambda value: repr(value)[:25],
)
def test_what_is_no_array_of_numbers_is_refused(value, protocol):
    with pytest.raises(CorruptCheckpointError, match=r"^expected .*found"):
        as_array(reload(value, protocol))


CORE = "numpy._core"
FLOAT = Inert(Global("numpy", "dtype"), ("f8", False, True), state=(3, "<", None, None, None, -1, -1, 0))
BOOLEAN = Inert(Global("numpy", "dtype"), ("b1", False, True), state=(3, "|", None, None, None, -1, -1, 0))


def record(*state):
    return Inert(Global(f"{CORE}.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (0,), b"b"), state=state)


def in_buffer(*args):
    return Inert(Global(f"{CORE}.numeric", "_frombuffer"), args)


@pytest.mark.parametrize(
    "lie",
    [
        record(1, (2,), FLOAT, False, b"\0" * 8),
        record(1, (1,), FLOAT, False, b"\0" * 16),
        record(1, (1,), FLOAT, False, b"\0" * 7),
        record(1, (10**12,), FLOAT, False, b"\0" * 8),
        record(1, (2**61, 8), FLOAT, False, b""),
        record(1, (2**62,), FLOAT, False, b""),
        record(1, (0, 2**61), FLOAT, False, b""),
        record(1, (0, 2**40, 2**40), FLOAT, False, b""),
        record(1, (10**6000,), FLOAT, False, b""),
        record(1, (-1,), FLOAT, False, b"\0" * 8),
        record(1, (-1, -1), FLOAT, False, b"\0" * 8),
        record(1, (True,), FLOAT, False, b"\0" * 8),
        record(1, (1.0,), FLOAT, False, b"\0" * 8),
        record(1, ("1",), FLOAT, False, b"\0" * 8),
        record(1, 1, FLOAT, False, b"\0" * 8),
        record(1, [1], FLOAT, False, b"\0" * 8),
        record(1, (1,) * 33, FLOAT, False, b"\0" * 8),
        record(2, (1,), FLOAT, False, b"\0" * 8),
        record(1, (1,), FLOAT, "C", b"\0" * 8),
        record(1, (1,), FLOAT, False, [0.0]),
        record(1, (1,), FLOAT, False, "\u0100" * 8),
        record(1, (1,), FLOAT, False, FLOAT),
        record(1, (1,), FLOAT, False),
        record(1, (1,), "f8", False, b"\0" * 8),
        record(1, (1,), Inert(Global("numpy", "dtype"), ("f8", False, True)), False, b"\0" * 8),
        record(1, (1,), Inert(Global("numpy", "dtype"), ("f8", False, True), state=(3, "=")), False, b"\0" * 8),
        record(1, (1,), Inert(Global("numpy", "dtype"), ("O8", False, True), state=(3, "|")), False, b"\0" * 8),
        record(1, (1,), Inert(Global("numpy", "other"), ("f8", False, True), state=(3, "<")), False, b"\0" * 8),
        record(1, (1,), BOOLEAN, False, b"\2"),
        record(),
        Inert(Global(f"{CORE}.multiarray", "_reconstruct"), (Global("os", "system"), (0,), b"b"), state=(1,)),
        Inert(Global(f"{CORE}.multiarray", "_reconstruct")),
        in_buffer(b"\0" * 8, FLOAT, (2,), "C"),
        in_buffer(b"\0" * 8, FLOAT, (1,), "A"),
        in_buffer(b"\0" * 8, FLOAT, (1,), "K"),
        in_buffer(b"\0" * 8, FLOAT, (1,), "K", (1,)),
        in_buffer(b"\0" * 8, FLOAT, (1, 1), "K", (0, 0)),
        in_buffer(b"\0" * 8, FLOAT, (1, 1), "K", (0, "a")),
        in_buffer(b"\0" * 8, FLOAT, (1, 1), "K", 5),
        in_buffer(),
        Inert(Global(f"{CORE}.multiarray", "scalar"), (FLOAT, b"\0" * 9)),
        Inert(Global(f"{CORE}.multiarray", "scalar"), (FLOAT,)),
        Inert(Inert(Global(f"{CORE}.multiarray", "scalar")), (FLOAT, b"\0" * 8)),
    ],
    ids=itertools.count(),
)
def test_lies_are_refused(lie):
    with pytest.raises(CorruptCheckpointError, match=r"^expected ") as caught:
        as_array(lie)
    assert len(str(caught.value)) < 250


def test_the_record_that_the_lies_vary_is_an_array():
    np.testing.assert_array_equal(as_array(record(1, (1,), FLOAT, False, b"\0" * 8)), [0.0])
    np.testing.assert_array_equal(as_array(in_buffer(b"\0" * 8, FLOAT, (1, 1), "K", (1, 0))), [[0.0]])
