"""Whatever happens to a stored chunk, nobody takes it for a result."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

from grokprobe.errors import DamagedStoreError
from grokprobe.status import Status
from grokprobe.store import ResultsStore, arrays, read_group
from grokprobe.store.arrays import DECODING_ERRORS
from unit.store.small_store import BLOCK, GROUP, build_row, read, write_rows, write_store

RUN = (0, 1.0)
#: One chunk of each type: floating, integer, status, text, and a coordinate.
CHUNKS = ("x/c/0/0/0", "n/c/0/0/0", "v/c/0/0/0/0", "status/c/0/0/0", "checkpoint_digest/c/0/0/0", "part/c/0")


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "r"
    write_store(path, {RUN: {epoch: build_row(float(np.sin(epoch))) for epoch in range(BLOCK)}})
    return path


def flipped(content: bytes) -> Iterator[tuple[str, bytes]]:
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(damaged)


def truncated(content: bytes) -> Iterator[tuple[str, bytes]]:
    for length in range(len(content)):
        yield f"{length} bytes", content[:length]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_flipped_bit_and_every_truncation_is_detected(store_path: Path, chunk: str) -> None:
    file = store_path / GROUP / chunk
    array, whole = zarr.open_array(store_path, path=f"{GROUP}/{chunk.partition('/')[0]}", mode="r"), file.read_bytes()
    expected = np.asarray(array[:])
    try:
        for damage, content in (*flipped(whole), *truncated(whole)):
            file.write_bytes(content)
            with pytest.raises(DECODING_ERRORS):
                print(damage, array[:])
    finally:
        file.write_bytes(whole)
    np.testing.assert_array_equal(np.asarray(array[:]), expected)


def test_a_flipped_bit_of_an_older_store_never_gives_another_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "CODECS", [ZstdCodec(level=1, checksum=True)])  # as the first stores of format 1
    numbers = {epoch: float(np.sin(epoch)) for epoch in range(BLOCK)}
    write_store(tmp_path / "r", {RUN: {epoch: build_row(number) for epoch, number in numbers.items()}})
    monkeypatch.undo()
    file = tmp_path / "r" / GROUP / "x" / "c" / "0" / "0" / "0"
    array, whole = zarr.open_array(tmp_path / "r", path=f"{GROUP}/x", mode="r"), file.read_bytes()
    num_passed = 0
    for _, content in flipped(whole):
        file.write_bytes(content)
        try:
            found = array[0, 0]
        except DECODING_ERRORS:
            continue
        num_passed += 1
        assert np.asarray(found).tolist() == list(numbers.values())
    assert num_passed == 2  # of the header of zstd's frame: what the second checksum is for
    file.write_bytes(whole)
    write_rows(ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK), RUN, {1: build_row(5.0)}, kept=numbers)
    assert read(tmp_path / "r").x.to_numpy().ravel().tolist() == [numbers[0], 5.0, numbers[2], numbers[3]]


def test_a_chunk_in_the_place_of_another_of_other_size_is_detected(store_path: Path, tmp_path: Path) -> None:
    shutil.copytree(store_path, tmp_path / "r")
    group = tmp_path / "r" / GROUP
    shutil.copy(group / "x" / "c" / "0" / "0" / "0", group / "status" / "c" / "0" / "0" / "0")
    with pytest.raises(DamagedStoreError, match=f"{GROUP}"):
        read_group(tmp_path / "r", GROUP)


def damage(path: Path, chunk: str = "x/c/0/0/0") -> Path:
    """Returns a copy of the store with one chunk damaged."""
    copy = path.parent / "damaged"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    (copy / GROUP / chunk).write_bytes(b"damaged")
    return copy


def test_what_is_kept_beside_new_results_has_to_be_readable(store_path: Path) -> None:
    path = damage(store_path)
    with pytest.raises(DamagedStoreError, match=f"{GROUP}/x: .* decoded: .*grokprobe verify {path}") as refused:
        ResultsStore(path).cube(GROUP, block=BLOCK).write(RUN, {0: build_row(1.0)}, frozenset({1, 2}))
    assert refused.value.exit_code == 3


def test_a_cell_that_is_written_anew_is_mended(store_path: Path) -> None:
    path = damage(store_path)
    rows = {epoch: build_row(epoch) for epoch in range(BLOCK)}
    ResultsStore(path).cube(GROUP, block=BLOCK).write(RUN, rows, frozenset())
    assert read(path).x.to_numpy().ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("chunk", "name"), [("epoch/c/0", "epoch"), ("x/zarr.json", "metadata of small/probes/p/x")])
def test_damaged_coordinates_and_metadata_are_no_bug(store_path: Path, chunk: str, name: str) -> None:
    path = damage(store_path, chunk)
    with pytest.raises(DamagedStoreError, match=f"{name}: it cannot be decoded"):
        ResultsStore(path).cube(GROUP, block=BLOCK).write(RUN, {0: build_row(1.0)}, frozenset({1}))


def test_new_results_do_not_hide_that_older_ones_beside_them_are_lost(store_path: Path) -> None:
    path = damage(store_path)
    (path / GROUP / "x" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(DamagedStoreError, match=f"{GROUP}/x: its chunk is absent"):
        ResultsStore(path).cube(GROUP, block=BLOCK).write(RUN, {0: build_row(1.0)}, frozenset({1, 2}))
    failed = {0: build_row(0, Status.FAILED)}
    ResultsStore(path).cube(GROUP, block=BLOCK).write(RUN, failed, frozenset({1, 2}))
    assert not (path / GROUP / "x" / "c" / "0" / "0" / "0").exists()
