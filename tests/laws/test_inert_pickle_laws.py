"""Whatever is done to the bytes of a pickle, it is read as a value or refused in one way."""

import io
import pickle
import pickletools

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from grokprobe.errors import CheckpointError, CorruptCheckpointError
from grokprobe.inert_pickle import Inert, as_array, load_inert

FILES = [
    pickle.dumps(["d", [(np.ones((2, 2), code), 1, np.float64(3.0)), ({"a": 2**70}, {b"x"}, "text")]], protocol)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    for code in ("i1", ">f8")
]
CODES = b"".join(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(-(2**63), 2**63), inner)
    ),
    max_leaves=20,
)


def load(data):
    return load_inert(io.BytesIO(data), "made")


def load_or_refuse(data):
    """Reads ``data`` and every record of an array in it."""
    try:
        waiting, seen = [load(data)], set()
    except CheckpointError:
        return
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (list, tuple)):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, Inert):
            try:
                as_array(value)
            except CorruptCheckpointError as error:
                assert "expected" in str(error)  # noqa: PT017 - either is right


@settings(deadline=None, max_examples=300)
@given(data=st.data(), file=st.sampled_from(FILES))
def test_mutated_bytes_give_a_value_or_the_one_refusal(data, file):
    mutated = bytearray(file)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        byte = data.draw(st.sampled_from(CODES) | st.integers(0, 255))
        match data.draw(st.sampled_from(["replace", "insert", "delete", "cut"])):
            case "replace":
                mutated[position] = byte
            case "insert":
                mutated.insert(position, byte)
            case "delete" if len(mutated) > 1:
                del mutated[position]
            case "cut" if position:
                del mutated[position:]
    load_or_refuse(bytes(mutated))


@settings(deadline=None, max_examples=300)
@given(program=st.lists(st.sampled_from(CODES) | st.integers(0, 255), max_size=40).map(bytes))
def test_any_bytes_give_a_value_or_the_one_refusal(program):
    load_or_refuse(b"](N}cos\nsystem\n)R" + program + b".")


@settings(deadline=None, max_examples=150)
@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_what_they_were(value, protocol):
    assert load(pickle.dumps(value, protocol)) == value
