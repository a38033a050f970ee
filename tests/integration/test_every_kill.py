"""SIGKILL at every write of an analysis, none left out.

The files that a kill leaves are those that are there at that moment, so one analysis, copied at every event, gives them
all; ``test_analyze_kill`` sends real signals.
"""

from pathlib import Path

import numpy as np
import pytest
import zarr

from grokprobe.store import Cube, verify
from integration.small_analysis import (
    EPOCHS,
    GROUP,
    RUNS,
    SCENARIOS,
    VERSIONS,
    SmallAnalysis,
    done,
    read_published,
    write_checkpoints,
)
from program import tree_bytes
from write_events import Moments, watching_writes

#: Events that each scenario has at least.
NUM_EVENTS = 84


@pytest.mark.parametrize("name", list(SCENARIOS)[:-1])
def test_killed_at_every_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    scenario, out = SCENARIOS[name], tmp_path / "r.zarr"
    write_checkpoints(tmp_path / "runs")
    analyze = SmallAnalysis(tmp_path / "runs", monkeypatch)
    scenario.before(analyze, out)
    published, old_inputs = read_published(out), {entry.inputs for entry in done(out).values()}
    moments = Moments(out, tmp_path / "moments")
    with watching_writes(out, moments):
        analyze(out, **scenario.options)
    assert moments.num_events >= NUM_EVENTS
    expected, wanted = tree_bytes(out), len(RUNS) * len(EPOCHS)
    for left, moment in moments.copies.items():
        is_old = {coordinate: entry.inputs in old_inputs for coordinate, entry in done(left).items()}
        for coordinate, value in ledger_values(left).items():
            version = "1" if is_old[coordinate] else scenario.options.get("version", "1")
            assert value == VERSIONS[version] + coordinate.epoch, moment
        if (left / "zarr.json").exists():
            assert verify(left).faults == (), moment
            seen = read_published(left)
            if "recompute" not in scenario.options:
                assert published.items() <= seen.items(), moment
            assert all(value in (VERSIONS["1"] + at[2], VERSIONS["2"] + at[2]) for at, value in seen.items()), moment

        analyze.num_measured = 0
        report = analyze(left, **scenario.options)
        num_new = sum(new for experiment in report.experiments for _, new in experiment.measured.values())
        num_kept = 0 if "recompute" in scenario.options else len(is_old)
        assert (report.exit_code, num_new) == (0, wanted - num_kept), moment
        assert tree_bytes(left) == expected, moment
        assert len(done(left)) == wanted, moment


def ledger_values(path: Path) -> dict[object, float]:
    """Returns the stored value of every coordinate that the ledger says is done."""
    entries = done(path)
    if not entries:
        return {}
    cube = Cube(path, GROUP, block=32)
    values = np.asarray(zarr.open_array(path, path=f"{GROUP}/value", mode="r")[:])
    at = {dim: cube.positions(dim) for dim in ("seed", "init_scale", "epoch")}
    return {
        key: float(values[at["seed"][key.seed], at["init_scale"][key.init_scale], at["epoch"][key.epoch]])
        for key in entries
    }
