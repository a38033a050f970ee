"""Bad input gets one clear line and the documented exit code; what is good is analyzed all the same."""

from pathlib import Path

import torch
import xarray as xr

from program import Outcome, grokprobe
from strangers import stranger_parameters, write_stranger_run


def error_line(result: Outcome) -> str:
    """The one line that says what is wrong."""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in result.stderr
    return line


def test_missing_directory(tmp_path: Path) -> None:
    result = grokprobe("analyze", tmp_path / "absent", "--out", tmp_path / "r.zarr")
    assert result.returncode == 2
    assert f"found nothing at {tmp_path / 'absent'}" in error_line(result)
    assert not (tmp_path / "r.zarr").exists()


def test_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = grokprobe("analyze", tmp_path / "empty", "--out", tmp_path / "r.zarr")
    assert result.returncode == 2
    assert "no files" in error_line(result)


def test_unknown_task_and_probe(tmp_path: Path) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])
    unknown_task = grokprobe("analyze", tmp_path / "run", "--task", "modular_adition", "--out", tmp_path / "r.zarr")
    assert unknown_task.returncode == 2
    assert "did you mean 'modular_addition'?" in error_line(unknown_task)
    unknown_probe = grokprobe("analyze", tmp_path / "run", "--probes", "furier", "--out", tmp_path / "r.zarr")
    assert unknown_probe.returncode == 2
    assert "did you mean 'fourier'?" in error_line(unknown_probe)


def test_truncated_checkpoint_among_good_ones(tmp_path: Path) -> None:
    write_stranger_run(tmp_path / "run", [0, 1, 2, 3])
    broken = tmp_path / "run" / "1.pth"
    broken.write_bytes(broken.read_bytes()[:500])
    options = ("--layout", "{epoch}.pth", "--set", "fourier.period=7", "--out", tmp_path / "r.zarr")
    command = ("analyze", tmp_path / "run", *options)
    for _ in range(2):  # the second time nothing is measured, and the failure is still said
        result = grokprobe(*command)
        assert result.returncode == 3
        assert [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    status = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")["checkpoints/probes/fourier/status"]
    assert status.to_numpy().ravel().tolist() == [1, 2, 1, 1]
    torch.save({"model": stranger_parameters(7, 12, epoch=1), "epoch": 1}, broken)
    assert grokprobe(*command).returncode == 0


def test_nothing_readable(tmp_path: Path) -> None:
    write_stranger_run(tmp_path / "run", [0])
    (tmp_path / "run" / "train_data.pth").unlink()
    broken = tmp_path / "run" / "0.pth"
    broken.write_bytes(broken.read_bytes()[:100])
    result = grokprobe("analyze", tmp_path / "run", "--out", tmp_path / "r.zarr")
    assert result.returncode == 4
    assert "nothing could be read" in error_line(result)


def test_two_runs_on_one_coordinate(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        write_stranger_run(tmp_path / "runs" / f"seed_3_{copy}", [0, 1])
    result = grokprobe(
        "analyze", tmp_path / "runs", "--layout", "seed_{seed}_{run}/{epoch}.pth", "--out", tmp_path / "r.zarr"
    )
    assert result.returncode == 2
    assert "seed_3_a" in error_line(result)
    assert "seed_3_b" in error_line(result)


def test_locked_and_foreign_stores(tmp_path: Path) -> None:
    from filelock import FileLock

    write_stranger_run(tmp_path / "run", [0, 1])
    command = ("analyze", tmp_path / "run", "--set", "fourier.period=7", "--out", tmp_path / "r.zarr")
    assert grokprobe(*command).returncode == 0
    with FileLock(tmp_path / "r.zarr" / ".grokprobe" / "lock"):
        locked = grokprobe(*command)
    assert locked.returncode == 5
    assert "being written by another process" in error_line(locked)
    foreign = grokprobe("analyze", tmp_path / "run", "--out", tmp_path / "run")
    assert foreign.returncode == 2
    assert "found something else" in error_line(foreign)


def test_unsafe_file_alone_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (canary,))

    (tmp_path / "run").mkdir()
    torch.save({"model": Payload()}, tmp_path / "run" / "1.pt")
    result = grokprobe("analyze", tmp_path / "run", "--out", tmp_path / "r.zarr")
    assert result.returncode == 4
    assert not canary.exists()


def test_setting_of_an_unknown_option(tmp_path: Path) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])
    result = grokprobe("analyze", tmp_path / "run", "--set", "fourier.bases=fft", "--out", tmp_path / "r.zarr")
    assert result.returncode == 2
    assert "fourier.bases" in error_line(result)
    other = grokprobe("analyze", tmp_path / "run", "--set", "furier.basis=fft", "--out", tmp_path / "r.zarr")
    assert other.returncode == 2
    assert "--set furier" in error_line(other)
