from pathlib import Path
from typing import Any

import pytest

import grokprobe
from grokprobe.errors import UsageError
from grokprobe.planning import (
    epochs_by_run,
    find_wanted,
    leading_order,
)
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry
from strangers import write_stranger_run
from unit.made_probes import MadeProbe, install_plugin

AT = Coordinate("e/probes/p", 0, 1.0, 0)


@pytest.mark.parametrize(
    ("entry", "retry_failed", "is_wanted"),
    [
        (None, False, True),
        (Entry(status=Status.OK, inputs="now"), False, False),
        (Entry(status=Status.OK, inputs="now"), True, False),
        (Entry(status=Status.OK, inputs="before"), False, True),
        (Entry(status=Status.FAILED, inputs="now"), False, False),
        (Entry(status=Status.FAILED, inputs="now"), True, True),
        (Entry(status=Status.REFUSED, inputs="now"), True, True),
        (Entry(status=Status.FAILED, inputs="before"), False, True),
        (Entry(status=Status.MISSING, inputs="now"), False, True),
    ],
)
def test_what_is_left_to_do(entry: Entry | None, *, retry_failed: bool, is_wanted: bool) -> None:
    entries = {} if entry is None else {AT: entry}
    found = find_wanted(entries, {AT: "now"}, retry_failed=retry_failed, recompute=False)
    assert found == ({AT} if is_wanted else set())
    assert find_wanted(entries, {AT: "now"}, retry_failed=retry_failed, recompute=True) == {AT}
    assert find_wanted(entries, {}, retry_failed=True, recompute=True) == set()


def test_epochs_by_run() -> None:
    other = Coordinate("e/probes/p", 1, 1.0, 5)
    assert epochs_by_run([AT, AT._replace(epoch=3), other]) == {
        ("e/probes/p", (0, 1.0)): {0, 3}, ("e/probes/p", (1, 1.0)): {5}
    }  # fmt: skip


def test_known_coordinates_keep_their_order() -> None:
    order = leading_order({"epoch": [30, 10]}, {"seed": [1, 0, 1], "init_scale": [2.0], "epoch": [20, 10, 5]})
    assert order == {"seed": [0, 1], "init_scale": [2.0], "epoch": [30, 10, 5, 20]}


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])

    def never(context: Any) -> float:
        raise AssertionError("measured in a dry run")

    selection = install_plugin(monkeypatch, "planned", MadeProbe("dear", never))
    report = grokprobe.analyze(
        tmp_path / "run", out=tmp_path / "r.zarr", probes=["dear"], plugins=selection, dry_run=True
    )
    assert report.experiments[0].measured == {"probes/dear": (2, 2)}
    assert not (tmp_path / "r.zarr").exists()


def test_unknown_options_of_analyze_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected options among .*probes.*, found 'prober'"):
        grokprobe.analyze(tmp_path, prober=["weights"])
