"""A pickle is read without executing or importing anything it names, whatever its bytes are."""

import collections
import copyreg
import functools
import io
import os
import pickle
import struct
import sys
import tracemalloc

import pytest

from grokprobe.errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle import Global, Inert, load_inert

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

#: Plain values, with every operation that writes one.
PLAIN = [
    *(
        None,
        True,
        False,
        0,
        1,
        255,
        256,
        65535,
        65536,
        -1,
        -(2**31),
        2**31,
        2**70,
        -(2**70),
        2**2100,
        0.5,
        float("inf"),
    ),
    *("", "text", "ü\n\\u0041\u20ac", "\ud800", "x" * 300, "x" * 70_000),
    *([], [1], [1, 2, [3]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": 1}, {1: {"b": (2.5,)}, (0, "k"): []}),
]


def load(data, **options):
    return load_inert(io.BytesIO(data), "made.pickle", **options)


class Marker:
    """Creates a file when a pickle of it is read the ordinary way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Slotted:
    __slots__ = ("weight",)


class Made(dict):
    def __getnewargs_ex__(self):
        return (1, 2), {"key": 3}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_values_are_what_they_were(value, protocol):
    loaded = load(pickle.dumps(value, protocol))
    assert (type(loaded), loaded) == (type(value), value)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("value", [b"", b"\0\xff", b"x" * 300, b"x" * 70_000])
def test_bytes_are_what_they_were(value, protocol):
    assert load(pickle.dumps(value, protocol)) == value


def test_bytearray_is_what_it_was():
    assert load(pickle.dumps(bytearray(b"abc"), 5)) == bytearray(b"abc")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"S'a\\\\b\\n\\x41\\''\n.", "a\\b\nA'"),
        (b'S"it\'s"\n.', "it's"),
        (b"U\x02\xe9a.", "éa"),
        (b"T\x02\x00\x00\x00\xe9a.", "éa"),
        (b"I01\n.", True),
        (b"I00\n.", False),
        (b"L5L\n.", 5),
        (b"\x8a\x00.", 0),
        (b"\x8b\x02\x00\x00\x00\xff\x7f.", 0x7FFF),
        (b"(K\x01K\x02l.", [1, 2]),
        (b"(K\x01K\x02d.", {1: 2}),
        (b"(K\x01(K\x021.", 1),  # POP_MARK
        (b"K\x01(0.", 1),  # POP of a mark
        (b"K\x01K\x020.", 1),
        (b"K\x012\x86.", (1, 1)),  # DUP
        (b"K\x07r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.", 7),  # an index that an array of references would not survive
        (b"K\x07p900000000000\n0g900000000000\n.", 7),
        (b"\x8d\x01\0\0\0\0\0\0\0a.", "a"),
        (b"\x8e\x01\0\0\0\0\0\0\0a.", b"a"),
    ],
)
def test_operations_that_a_modern_pickler_does_not_write(data, value):
    assert load(data) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_named_things_stay_names(protocol):
    loaded = load(pickle.dumps([complex, os.getcwd], protocol))
    builtins = "__builtin__" if protocol < 3 else "builtins"
    assert loaded == [Global(builtins, "complex"), Global(os.getcwd.__module__, "getcwd")]
    assert str(loaded[0]) == f"{builtins}.complex"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_executed(tmp_path, protocol):
    marker = tmp_path / "marker"
    data = pickle.dumps({"a": [Marker(marker)]}, protocol)
    record = load(data)["a"][0]
    assert record.maker == Global(os.system.__module__, "system")
    assert record.args == (f"touch {marker}",)
    assert "system" in repr(record)
    assert not marker.exists()
    pickle.loads(data)  # noqa: S301 - our own file, to see that it is what it is said to be
    assert marker.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch MARKER'\ntR.",
        b"(S'touch MARKER'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch MARKER'\no.",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85\x81.",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85}\x92.",
        b"cbuiltins\ngetattr\n(cos\nS'system'\ntRS'touch MARKER'\n\x85R.",
        b'cbuiltins\nexec\n(S\'open("MARKER", "w")\'\ntR.',
        b"cfunctools\npartial\n(cos\nsystem\nS'touch MARKER'\ntR)R.",
        b"c__main__\nA\n)\x81}S'__setstate__'\ncos\nsystem\nsb.",
    ],
)
def test_no_operation_executes(tmp_path, monkeypatch, program):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    assert isinstance(load(program), Inert)
    assert not list(tmp_path.iterdir())
    assert set(sys.modules) == before


def test_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / "trapdoor.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert load(b"ctrapdoor\nClass\n)R.").maker == Global("trapdoor", "Class")
    assert "trapdoor" not in sys.modules


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_items_and_entries_are_recorded(protocol):
    ordered = load(pickle.dumps(collections.OrderedDict(a=1, b=2), protocol))
    queue = load(pickle.dumps(collections.deque([1, 2]), protocol))
    assert ordered.maker == Global("collections", "OrderedDict")
    assert dict(ordered.entries) == {"a": 1, "b": 2}
    assert (list(queue.items), queue.entries) == ([1, 2], ())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sets_are_records(protocol):
    loaded = load(pickle.dumps([{7}, frozenset({8})], protocol))
    for record, name, element in zip(loaded, ("set", "frozenset"), (7, 8), strict=True):
        assert record.maker.name == name
        assert [*record.items] or record.args[0] == [element]
        assert [*record.items] in ([], [element])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_state_is_recorded(protocol):
    thing = Slotted()
    thing.weight = 3
    record = load(pickle.dumps(thing, protocol))
    assert record.maker == Global(__name__, "Slotted")
    assert record.state == (None, {"weight": 3})
    assert record.kwargs is None


@pytest.mark.parametrize("protocol", [4, 5])
def test_keyword_arguments_are_recorded(protocol, monkeypatch):
    record = load(pickle.dumps(Made(x=1), protocol))
    assert (record.args, record.kwargs, list(record.entries)) == ((1, 2), {"key": 3}, [("x", 1)])


def test_hostile_names_and_attributes_stay_data():
    record = load(b"c__main__\nA\n)\x81}(S'__class__'\nS'b'\nS'maker'\nK\x01ub.")
    assert type(record) is Inert
    assert record.maker == Global("__main__", "A")
    assert record.state == {"__class__": "b", "maker": 1}
    assert repr(load(b"\x8c\x01\n\x8c\x05\x1b[31m\x93)R.")) == r"<inert '\n.\x1b[31m'>"
    assert repr(load(b"ca\nb\n)R)R.")) == "<inert 'result of a call'>"


def test_a_result_may_contain_itself():
    knot = load(b"]q\x00h\x00a.")
    assert knot[0] is knot


def test_what_is_stored_once_stays_one_object():
    loaded = load(b"]q\x00" + b"".join(b"0]q%c(h%ch%ce" % (k + 1, k, k) for k in range(100)) + b".")
    for _ in range(100):
        assert loaded[0] is loaded[1]
        loaded = loaded[0]
    assert loaded == []


@pytest.mark.parametrize("nest", [b"\x85", b"]2a0"])
def test_deep_nesting_takes_no_recursion(nest):
    depth = 200_000
    data = b"N" + nest * depth if nest == b"\x85" else b"]q\x00" + b"](h\x00eq\x00" * depth
    loaded, found = load(data + b"."), 0
    while loaded:
        loaded, found = loaded[0], found + 1
    assert found == depth


def test_deep_records_take_no_recursion():
    assert isinstance(load(b"cA\nB\n" + b")R" * 100_000 + b"."), Inert)
    assert isinstance(load(b"N" + b"".join([b"q\x00cA\nB\n)Rh\x00b"] * 100_000) + b"."), Inert)


def test_persistent_ids_need_a_handler():
    for data in (b"Pstorage\n.", b"S'storage'\nQ."):
        with pytest.raises(UnsafeCheckpointError, match=r"^made\.pickle, before byte \d+: .* persistent id"):
            load(data)
        assert load(data, persistent_load=lambda name: [name]) == ["storage"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x82\x01.", "extension registry"),
        (b"\x83\x01\x00.", "extension registry"),
        (b"\x84\x01\x00\x00\x00.", "extension registry"),
        (b"\x97.", "buffer outside the file"),
        (b"N\x98.", "buffer outside the file"),
    ],
)
def test_what_reaches_outside_the_file_is_refused(data, found):
    with pytest.raises(UnsafeCheckpointError, match=found):
        load(data)


def test_a_registered_extension_is_refused():
    copyreg.add_extension("collections", "OrderedDict", 0xF0)
    try:
        data = pickle.dumps(collections.OrderedDict, 2)
        pickle.loads(data)  # noqa: S301 - fills the cache that an ordinary unpickler asks before find_class
        with pytest.raises(UnsafeCheckpointError, match="extension registry"):
            load(data)
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 0xF0)


def test_operations_are_limited():
    assert load(b"N0" * 4 + b"N.", max_operations=10) is None
    with pytest.raises(UnsafeCheckpointError, match="more than 9 operations"):
        load(b"N0" * 4 + b"N.", max_operations=9)


@pytest.mark.parametrize("code", [b"B", b"X", b"T", b"\x8b"])
@pytest.mark.parametrize("length", [2**16, 2**31 - 1, 2**32 - 1])
def test_a_length_beyond_the_file_takes_no_memory(code, length):
    check_takes_no_memory(code + struct.pack("<I", length) + b"abc.")


@pytest.mark.parametrize("code", [b"\x8d", b"\x8e", b"\x96", b"\x95"])
@pytest.mark.parametrize("length", [2**16, 2**33, 2**63 - 1, 2**64 - 1])
def test_a_long_length_beyond_the_file_takes_no_memory(code, length):
    check_takes_no_memory(code + struct.pack("<Q", length) + b"abc.")


def check_takes_no_memory(data):
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpointError, match="made"):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("index", [b"r\xff\xff\xff\xff", b"p99999999999\n"])
def test_a_large_index_takes_no_memory(index):
    tracemalloc.start()
    try:
        assert load(b"N" + index + b".") is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"]", "a list for a key"),
        (b"}", "a dict for a key"),
        (b")" + b"\x85" * 200_000, "a tuple for a key"),  # its hash would end the process
        (b")" + b"2\x86" * 100, "a tuple for a key"),  # its hash would take 2^100 steps
        (b"(" + b"N" * 17 + b"t", "a tuple for a key"),
        (b"\x8a\x09" + b"\x01" * 9, "64 bits for a key"),
        (b"\x8f", None),
        (b"cA\nB\n", None),
        (b"cA\nB\n)R", None),
        (b"NN\x86", None),
    ],
)
@pytest.mark.parametrize("target", [b"}", b"cA\nB\n)R"])
def test_keys_are_those_whose_hash_is_cheap(key, found, target):
    for data in (target + key + b"Ns.", target + b"(" + key + b"Nu."):
        if found is None:
            loaded = load(data)
            assert len(loaded if isinstance(loaded, dict) else loaded.entries) == 1
        else:
            with pytest.raises(CorruptCheckpointError, match=found):
                load(data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "its end"),
        (b".", "an operation without the values it takes"),
        (b"0.", "an operation without"),
        (b"2.", "an operation without"),
        (b"K\x01\x86.", "an operation without"),
        (b"t.", "an operation without"),
        (b"e.", "an operation without"),
        (b"(e.", "an operation without"),
        (b"(Ne.", "an operation without"),
        (b"a.", "an operation without"),
        (b"R.", "an operation without"),
        (b"(o.", "a call of a NoneType"),
        (b"h\x01.", "not stored"),
        (b"g5\n.", "not stored"),
        (b"q\x01.", "an operation without"),
        (b"Np-1\n.", "negative index"),
        (b"\xff.", r"operation b'\\xff'"),
        (b"hello world", "the operation|not stored"),
        (b"\x80\x06N.", "protocol 6"),
        (b"K\x01)R.", "a call of a int"),
        (b"cA\nB\nK\x01R.", "a call with a int"),
        (b"cA\nB\n))\x92.", "for arguments"),
        (b"NN\x93.", "for a name"),
        (b"]}b.", "a state for a list"),
        (b"cA\nB\n}b.", "a state for a Global"),
        (b"cA\nB\n)R}b}b.", "or has one"),
        (b")Na.", "items for a tuple"),
        (b"]K\x00Ns.", "entries for a list"),
        (b"}(Nu.", "a key without a value"),
        (b"Ix\n.", "a damaged value"),
        (b"I" + b"9" * 5000 + b"\n.", "a damaged value"),
        (b"Fx\n.", "a damaged value"),
        (b"Vx\\ud\n.", "a damaged value"),
        (b"V\\U00110000\n.", "a damaged value"),
        (b"\x8c\x01\xff.", "a damaged value"),
        (b"c\xff\nB\n.", "a damaged value"),
        (b"P\xff\n.", "a damaged value"),
        (b"Sabc\n.", "without quotes"),
        (b"S'abc\n.", "without quotes"),
        (b"S'\n.", "without quotes"),
        (b"S'\\q'\n.", "unknown escape"),
        (b"S'\\'\n.", "unknown escape"),
        (b"S'\\x4'\n.", "unknown escape"),
        (b"I5", "its end within a line"),
        (b"K", "its end within a value"),
    ],
)
def test_what_is_no_pickle_is_named(data, found):
    with pytest.raises(
        CorruptCheckpointError, match=rf"^made\.pickle, before byte \d+: expected a whole pickle.*{found}"
    ):
        load(data)


def test_messages_do_not_quote_the_file():
    with pytest.raises(CorruptCheckpointError) as caught:
        load(b"F" + b"x" * 100_000 + b"\n.")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@functools.cache
def small_files():
    thing = Slotted()
    thing.weight = [1.5, b"bytes", "text", -3, 2**80, {1, 2}, collections.OrderedDict(a=None)]
    return [pickle.dumps([thing, {"k": (1, 2, 3, True)}], protocol) for protocol in range(2, 6)] + [
        pickle.dumps([collections.OrderedDict(a=1.5), 2**80, "text", os.getcwd], protocol) for protocol in (0, 1)
    ]


@pytest.mark.parametrize("k", range(6))
def test_truncated_at_every_byte(k):
    data = small_files()[k]
    load(data)
    for length in range(len(data)):
        with pytest.raises(CorruptCheckpointError):
            load(data[:length])


@pytest.mark.parametrize("k", range(6))
def test_every_byte_replaced_by_every_operation(k):
    data = small_files()[k]
    operations = b"".join(
        bytes([code]) for code in (0, 40, 46, 48, 82, 97, 98, 99, 101, 115, 117, 129, 133, 148, 149, 255)
    )
    for position in range(len(data)):
        for code in operations:
            mutated = data[:position] + bytes([code]) + data[position + 1 :]
            try:
                load(mutated)
            except CheckpointError as error:
                assert str(error).startswith("made.pickle, before byte ")  # noqa: PT017 - either is right


def test_file_stands_behind_the_pickle():
    file = io.BytesIO(b"junk" + pickle.dumps([1]) + pickle.dumps([2]) + b"raw")
    file.seek(4)
    assert [load_inert(file, "a"), load_inert(file, "a"), file.read()] == [[1], [2], b"raw"]
