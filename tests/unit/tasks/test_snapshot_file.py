"""A data set of somebody else is read without trusting it."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from grokprobe.errors import UsageError
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE
from grokprobe_tasks.ising.snapshot_file import read_snapshot_file

SIZE = 4
TEMPERATURES = [1.5, 2.2, 2.3, 3.0]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def make_spins():
    return np.random.default_rng(0).choice([-1, 1], (len(TEMPERATURES), SIZE, SIZE))


def make_entries(code="f8"):
    return [
        (spins.astype(code), int(temperature > CRITICAL_TEMPERATURE), temperature)
        for spins, temperature in zip(make_spins(), TEMPERATURES, strict=True)
    ]


def write(directory, content, protocol=4):
    path = directory / "snapshots.pickle"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def check_read(path):
    spins, temperatures = read_snapshot_file(path, SIZE)
    assert (spins.dtype, temperatures.dtype) == (np.int8, np.float64)
    np.testing.assert_array_equal(spins, make_spins())
    np.testing.assert_array_equal(temperatures, TEMPERATURES)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", ["i1", "i8", ">i4", "f4", "f8"])
def test_arrays_of_any_number_type(tmp_path, protocol, code):
    check_read(write(tmp_path, ["made", make_entries(code)], protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_of_numpy(tmp_path, protocol):
    entries = [(spins, np.int64(label), np.float64(at)) for spins, label, at in make_entries()]
    check_read(write(tmp_path, ["made", entries], protocol))
    entries = [(spins, np.float32(label), np.array(at)) for spins, label, at in make_entries()]
    check_read(write(tmp_path, ["made", entries], protocol))


@pytest.mark.parametrize("code", ["i8", "f8"])
def test_lists_and_tuples_of_rows(tmp_path, code):
    entries = make_entries(code)
    check_read(write(tmp_path, ["made", [[spins.tolist(), label, at] for spins, label, at in entries]]))
    check_read(write(tmp_path, ("made", tuple((tuple(map(tuple, s.tolist())), label, at) for s, label, at in entries))))
    check_read(write(tmp_path, [None, [([[*row] for row in spins], label, at) for spins, label, at in entries]]))


def test_unsigned_spins_of_one_sign(tmp_path):
    path = write(tmp_path, ["made", [(np.ones((SIZE, SIZE), "u1"), 0, 1.0)]])
    np.testing.assert_array_equal(read_snapshot_file(path, SIZE)[0], np.ones((1, SIZE, SIZE)))


ONES = np.ones((SIZE, SIZE))


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ((ONES, 1, 1.5), r"expected label 0 at temperature 1.5 \(T_c = 2.2692\), found 1;"),
        ((ONES, 0, 2.5), "expected label 1 at temperature 2.5 .* found 0;"),
        ((ONES, 2, 2.5), "found 2;"),
        ((ONES, float("nan"), 2.5), "found nan;"),
        ((ONES, 0.5, 2.5), r"found 0\.5;"),
        ((ONES, "1", 2.5), "expected a number as label, found a str"),
        ((ONES, np.ones(2), 2.5), "expected a number as label"),
        ((ONES, 1, CRITICAL_TEMPERATURE), "other than T_c, found 2.269"),
        ((ONES, 0, 0.0), "a finite temperature above 0"),
        ((ONES, 0, -1.0), "a finite temperature above 0"),
        ((ONES, 1, float("inf")), "a finite temperature above 0"),
        ((ONES, 1, float("nan")), "a finite temperature above 0"),
        ((ONES, 1, 10**400), "expected a number as temperature"),
        ((ONES, 1, 1j), "expected a numpy array, found <inert 'builtins.complex'>"),
        ((ONES, 1, None), "expected a number as temperature, found a NoneType"),
        ((ONES[:3], 0, 1.5), r"expected 4×4 spins, found shape \(3, 4\)"),
        ((np.ones(SIZE * SIZE), 0, 1.5), r"found shape \(16,\)"),
        ((ONES.astype(bool), 0, 1.5), "found shape .* of bool"),
        ((ONES.astype(complex), 0, 1.5), "found shape .* of complex128"),
        ((ONES.astype(object), 0, 1.5), "the numpy type '|O8'"),
        ((ONES * 2, 0, 1.5), "expected spins of −1 and 1, found 2.0"),
        ((ONES * 0, 0, 1.5), "found 0.0"),
        ((ONES * np.nan, 0, 1.5), "found nan"),
        ((ONES.astype("i1") * -128, 0, 1.5), "found -128"),
        ((ONES.astype("u1") * 255, 0, 1.5), "found 255"),
        (([[1] * SIZE] * 3, 0, 1.5), "expected 4 rows of 4 spins, found a list of 3"),
        (([[1] * SIZE] * 3 + [[1]], 0, 1.5), "expected 4 rows of 4 spins"),
        (([[1] * SIZE] * 3 + [[1, 1, 1, "1"]], 0, 1.5), "expected a number as spin, found a str"),
        (([[2**70] * SIZE] * SIZE, 0, 1.5), "expected|found"),
        ((4, 0, 1.5), "expected 4 rows of 4 spins, found a int"),
        (({1}, 0, 1.5), "expected a numpy array"),
        ((ONES, 0), "expected .spins, label, temperature., found a tuple of 2"),
        ({"spins": ONES}, "found a dict"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_entry_that_contradicts_is_named(tmp_path, entry, found):
    path = write(tmp_path, ["made", [*make_entries(), entry]])
    with pytest.raises(UsageError, match=found) as caught:
        read_snapshot_file(path, SIZE)
    message = str(caught.value)
    assert message.startswith(f"{path}, entry 4: expected ")
    assert "mend the entry" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content", [[], ["made"], ["made", []], ["made", {}], ["made", [1], 2], {}, "made", None, ONES]
)
def test_another_form_is_named(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(UsageError, match=r"expected \[description, .* found .* give the file of another"):
        read_snapshot_file(path, SIZE)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.pickle: expected a file of snapshots, found No such file"):
        read_snapshot_file(tmp_path / "absent.pickle", SIZE)
    with pytest.raises(UsageError, match="Is a directory"):
        read_snapshot_file(tmp_path, SIZE)


def test_truncated_anywhere(tmp_path):
    whole = write(tmp_path, ["made", make_entries("i1")]).read_bytes()
    path = tmp_path / "cut.pickle"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError, match="expected a whole pickle"):
            read_snapshot_file(path, SIZE)


class Marker:
    def __reduce__(self):
        return os.system, ("touch marker",)


def test_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spins, label, at = make_entries()[0]
    for content in (
        Marker(),
        [Marker(), [(spins, label, at)]],
        ["made", Marker()],
        ["made", [Marker()]],
        ["made", [(Marker(), label, at)]],
        ["made", [(spins, Marker(), at)]],
        ["made", [(spins, label, Marker())]],
    ):
        path = write(tmp_path, content)
        if isinstance(content, list) and isinstance(content[0], Marker):
            assert read_snapshot_file(path, SIZE)[0].shape == (1, SIZE, SIZE)  # the description may be anything
        else:
            with pytest.raises(UsageError, match=r"expected .* found"):
                read_snapshot_file(path, SIZE)
    assert not Path("marker").exists()
