"""What an operating system can refuse, refused at every write of an analysis."""

import errno
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from grokprobe.errors import StoreWriteError
from grokprobe.store import verify
from integration.small_analysis import (
    GROUP,
    SCENARIOS,
    VERSIONS,
    SmallAnalysis,
    done,
    read_published,
    write_checkpoints,
)
from program import tree_bytes
from write_events import watching_writes

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
#: Kind, file, and the how many-eth of these it is: the same in every run, in whatever order threads write.
Step = tuple[str, str, int]


def numbering_steps(root: Path, on_step: Callable[[Step], None]) -> Callable[[str, str], None]:
    """Returns a listener to writes that calls ``on_step`` at everything that can be refused."""
    counts: Counter[tuple[str, str]] = Counter()

    def on_event(kind: str, path: str) -> None:
        if kind == "mkdir" and Path(path).is_dir():
            return  # nothing is written
        target = re.sub(r"\.?[0-9a-f]{32}", "", path.removeprefix(str(root))).removesuffix(".partial")
        counts[kind, target] += 1
        on_step((kind, target, counts[kind, target]))

    return on_event


def one_step_a_write(steps: list[Step], *, only_removal: bool) -> list[Step]:
    """Returns of each write of a file one of its steps, in turn: a directory made for it, opening, writing, …"""
    if only_removal:
        last = max(place for place, (kind, _, _) in enumerate(steps) if kind == "rmdir")
        return [step for step in steps[: last + 1] if step[0] in ("replace", "unlink", "rmdir") and step[2] == 1]
    writes: dict[tuple[str, int], list[Step]] = {}
    directories: list[Step] = []
    for step in steps:
        if step[0] == "mkdir":
            directories.append(step)
        else:
            writes.setdefault(step[1:], []).extend([*directories, step])
            directories = []
    return [of_one[turn % len(of_one)] for turn, of_one in enumerate(writes.values())]


@pytest.mark.parametrize("name", SCENARIOS)
def test_refused_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    scenario, before, out = SCENARIOS[name], tmp_path / "before.zarr", tmp_path / "r.zarr"
    write_checkpoints(tmp_path / "runs")
    analyze = SmallAnalysis(tmp_path / "runs", monkeypatch)
    scenario.before(analyze, before)
    published, is_replaced = read_published(before), "recompute" in scenario.options
    steps: list[Step] = []
    restore(before, out)
    with watching_writes(out, numbering_steps(out, steps.append)):
        analyze(out, **scenario.options)
    expected, wanted = tree_bytes(out), len(done(out))
    refused = one_step_a_write(steps, only_removal=is_replaced)
    if not before.exists():
        assert {kind for kind, _, _ in refused} == {"mkdir", "open", "write", "replace", "link", "unlink", "fsync"}
    for number, step in enumerate(refused):
        restore(before, out)
        refuse = Refusal(step, ERRORS[number % len(ERRORS)], for_good=number % 8 < len(ERRORS))
        with watching_writes(out, numbering_steps(out, refuse)), pytest.raises(StoreWriteError) as failed:
            analyze(out, **scenario.options)
        assert refuse.is_reached, step
        assert failed.value.exit_code == 6
        assert re.fullmatch(rf"writing .* failed: {os.strerror(refuse.errno)}; [^\n]*", str(failed.value)), step

        if (out / "zarr.json").exists():
            assert verify(out).faults == (), step
            seen = read_published(out)
            assert is_replaced or published.items() <= seen.items(), step
            assert all(value in (VERSIONS["1"] + at[2], VERSIONS["2"] + at[2]) for at, value in seen.items()), step
        assert analyze(out, **scenario.options).exit_code == 0, step
        assert tree_bytes(out) == expected, step
        assert len(done(out)) == wanted, step


class Refusal:
    """Refuses one step, and everything after it if ``for_good``."""

    def __init__(self, step: Step, number: int, *, for_good: bool) -> None:
        self.step, self.errno, self.for_good = step, number, for_good
        self.is_reached = False

    def __call__(self, step: Step) -> None:
        is_now = step == self.step
        self.is_reached |= is_now
        if is_now or (self.is_reached and self.for_good):
            raise OSError(self.errno, os.strerror(self.errno))


def restore(before: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, out)


@pytest.mark.parametrize("most", [1, 7, 100])
def test_a_ledger_written_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    write_checkpoints(tmp_path / "runs")
    analyze = SmallAnalysis(tmp_path / "runs", monkeypatch)
    analyze(tmp_path / "whole.zarr")
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: real(descriptor, bytes(content)[:most]))
        analyze(tmp_path / "r.zarr")
    assert done(tmp_path / "r.zarr") == done(tmp_path / "whole.zarr")
    assert GROUP in {coordinate.group for coordinate in done(tmp_path / "r.zarr")}
