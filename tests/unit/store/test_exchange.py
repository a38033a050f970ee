from pathlib import Path

import pytest
import xarray as xr

from grokprobe.errors import StoreError
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, read_ledger
from grokprobe.store.exchange import CHUNK_BYTES, decode_private, encode_private, read_keys, write_keys
from program import tree_bytes
from unit.made_results import Sweep, write_results

PLACE = Coordinate("made/probes/weights", 0, 1.0, 3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def failing(_group: str, seed: int, _scale: float, _epoch: int) -> Status:
        return Status.FAILED if seed else Status.OK

    return write_results(
        tmp_path_factory.mktemp("made") / "r.zarr", Sweep(seeds=(0, 1), scales=(1.0,), epochs=(0, 5), status=failing)
    )


def test_there_and_back(made: Path, tmp_path: Path) -> None:
    (made / ".grokprobe" / "digests.jsonl").write_text("/home/somebody/checkpoints")
    (made / ".grokprobe" / "seeds.json").write_text('{"a": 3}')
    keys = dict(read_keys(made))
    assert next(iter(keys)) == "zarr.json"
    assert not any(b"somebody" in content for content in keys.values())
    back = tmp_path / "back.zarr"
    write_keys(back, keys.items())
    assert tree_bytes(back) == tree_bytes(made)
    assert read_ledger(back / ".grokprobe" / "ledger") == read_ledger(made / ".grokprobe" / "ledger") != {}
    assert (back / ".grokprobe" / "seeds.json").read_text() == '{"a": 3}'
    assert dict(read_keys(back)) == keys
    assert xr.open_datatree(back, engine="zarr").groups == xr.open_datatree(made, engine="zarr").groups


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "a//b", "/etc/outside", "c:/outside", "a\\..\\b"])
def test_names_lead_nowhere_else(tmp_path: Path, key: str) -> None:
    with pytest.raises(StoreError, match="found the name"):
        write_keys(tmp_path / "inside", [(key, b"")])
    with pytest.raises(StoreError, match="found the name"):
        write_keys(tmp_path / "inside", encode_private({key: b"content"}).items())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_growing_ledger_changes_one_chunk() -> None:
    line = b"0123456789abcde\n"
    files = {"ledger/0.jsonl": line * (CHUNK_BYTES // 8), "seeds.json": b"{}"}
    grown = {**files, "ledger/1.jsonl": line}
    before, after = encode_private(files), encode_private(grown)
    assert decode_private(after) == grown
    assert {key for key in after if after[key] != before.get(key)} == {
        ".grokprobe/files/c/2",
        ".grokprobe/files/zarr.json",
    }


def test_what_is_taken_back_meanwhile_is_not_done(made: Path, tmp_path: Path) -> None:
    """A worker replaces one result and adds another while the keys are read: neither is done in them."""
    ledger = LedgerWriter(made / ".grokprobe" / "ledger", 5)
    done, added = Entry(status=Status.OK, inputs="old"), Entry(status=Status.OK, inputs="new")
    ledger.append({PLACE: done})
    keys = []
    for position, item in enumerate(read_keys(made)):
        keys.append(item)
        if position == 3:
            ledger.append({PLACE: Entry(status=Status.MISSING, inputs="")})
            ledger.append({PLACE: added})
            ledger.append({PLACE._replace(epoch=4): added})
    write_keys(tmp_path / "r.zarr", keys)
    entries = read_ledger(tmp_path / "r.zarr" / ".grokprobe" / "ledger")
    assert entries[PLACE].status is Status.MISSING
    assert PLACE._replace(epoch=4) not in entries
    assert read_ledger(made / ".grokprobe" / "ledger")[PLACE] == added
