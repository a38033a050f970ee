"""Format 1, written down: a change of what is stored has to be a decision."""

import json
from pathlib import Path
from typing import Any

import pytest

from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, ResultsStore, read_ledger, results, verify
from unit.store.small_store import BLOCK, GROUP, build_row, create_cube, read, write_rows, write_store

RUN = (3, 0.5)
#: What every array has in common.
CODECS = {
    "numbers": [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
        {"name": "crc32c"},
    ],
    "bytes": [
        {"name": "bytes"},
        {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
        {"name": "crc32c"},
    ],
    "texts": [
        {"name": "vlen-utf8", "configuration": {}},
        {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
        {"name": "crc32c"},
    ],
}
LEADING = ["seed", "init_scale", "epoch"]
NOTES = {"description", "long_name", "reference", "units"}
#: Array → type, shape, chunks, dimensions, what stands where nothing was written, codecs, names of attributes.
ARRAYS: dict[str, tuple[str, list[int], list[int], list[str], Any, str, set[str]]] = {
    "seed": ("int64", [1], [65536], ["seed"], -(2**63), "numbers", {"description", "units"}),
    "init_scale": ("float64", [1], [65536], ["init_scale"], "NaN", "numbers", {"description", "units"}),
    "epoch": ("int64", [6], [65536], ["epoch"], -(2**63), "numbers", {"description", "units"}),
    "step": ("int64", [6], [65536], ["epoch"], -1, "numbers", {"description", "units"}),
    "status": ("uint8", [1, 1, 6], [1, 1, BLOCK], LEADING, 0, "bytes", {"description", "flag_values", "flag_meanings"}),
    "checkpoint_digest": ("string", [1, 1, 6], [1, 1, BLOCK], LEADING, "", "texts", {"description"}),
    "part": ("string", [2], [2], ["part"], "", "texts", {"description", "units"}),
    "part_size": ("int64", [2], [2], ["part"], 0, "numbers", {"units"}),
    "x": ("float64", [1, 1, 6], [1, 1, BLOCK], LEADING, "NaN", "numbers", NOTES),
    "n": ("int64", [1, 1, 6], [1, 1, BLOCK], LEADING, 0, "numbers", NOTES),
    "v": (
        "float32", [1, 1, 6, 2], [1, 1, BLOCK, 2], [*LEADING, "part"], "NaN", "numbers",
        NOTES | {"coordinates", "headline"},
    ),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_store(tmp_path / "r", {RUN: {epoch: build_row(epoch) for epoch in range(6)}})
    with ResultsStore.open(tmp_path / "r") as store:
        create_cube(store).write_steps({0: 7})
        store.publish()
    return tmp_path / "r"


def test_the_root(path: Path) -> None:
    document = json.loads((path / "zarr.json").read_text())
    assert document["attributes"] == {"grokprobe_format": 1, "Conventions": "CF-1.11"}
    assert (document["zarr_format"], document["node_type"]) == (3, "group")
    groups = {"small", "small/probes", GROUP}
    assert set(document["consolidated_metadata"]["metadata"]) == groups | {f"{GROUP}/{name}" for name in ARRAYS}
    assert {entry.name for entry in path.iterdir()} == {"zarr.json", ".grokprobe", "small"}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array(path: Path, name: str) -> None:
    dtype, shape, chunks, dims, fill, codecs, attributes = ARRAYS[name]
    found = json.loads((path / GROUP / name / "zarr.json").read_text())
    assert set(found.pop("attributes")) == attributes
    assert found == {
        "zarr_format": 3,
        "node_type": "array",
        "data_type": dtype,
        "shape": shape,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "dimension_names": dims,
        "fill_value": fill,
        "codecs": CODECS[codecs],
        "storage_transformers": [],
    }


def test_a_line_of_the_ledger(tmp_path: Path) -> None:
    entries = {
        Coordinate(GROUP, 3, 0.5, epoch): Entry(status=Status.FAILED, inputs="a", error="no") for epoch in (0, 4)
    }
    LedgerWriter(tmp_path, 12).append(entries)
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("00000012-")
    assert file.read_text() == (
        '612aea50 {"group":"small/probes/p","seed":3,"init_scale":0.5,"epoch":[0,4],"status":[2,2],'
        '"inputs":["a","a"],"error":["no","no"]}\n'
    )
    assert read_ledger(tmp_path) == entries
    assert {status.name: int(status) for status in Status} == {
        "MISSING": 0, "OK": 1, "FAILED": 2, "SKIPPED": 3, "REFUSED": 4
    }  # fmt: skip


def test_a_later_version_reads_and_extends_a_store_of_this_format(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FORMAT_VERSION", 2)
    assert read(path).x.to_numpy().ravel().tolist() == [0, 1, 2, 3, 4, 5]
    with ResultsStore.open(path) as store:
        cube = create_cube(store)
        cube.grow({"seed": [], "init_scale": [], "epoch": [9]})
        write_rows(cube, RUN, {9: build_row(9)}, kept=range(6))
        store.publish()
    assert read(path).x.to_numpy().ravel().tolist() == [0, 1, 2, 3, 4, 5, 9]
    assert verify(path).faults == ()
    assert json.loads((path / "zarr.json").read_text())["attributes"]["grokprobe_format"] == 1
