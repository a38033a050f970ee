"""Small checkpoints are kept, large ones are read tensor by tensor, and few tensors are alive at once."""

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import grokprobe
from grokprobe import loading
from grokprobe.checkpoints import CheckpointRef, Reading, discover, lazy_tensors
from grokprobe.checkpoints.audit import audit_run
from grokprobe.checkpoints.contents import UnreadParameters
from grokprobe.checkpoints.conversion import convert
from grokprobe.errors import CorruptCheckpointError
from grokprobe.loading import StreamedParameters, build_loader

NUM_LAYERS = 8
SIDE = 64


def write_sharded(directory: Path, epoch: int) -> None:
    """Writes a network in two shards with an index."""
    directory.mkdir(parents=True)
    generator = torch.Generator().manual_seed(epoch)
    names = [f"layer.{k}.weight" for k in range(NUM_LAYERS)]
    weight_map = {}
    for k, own in enumerate((names[::2], names[1::2])):
        shard = f"model-0000{k + 1}-of-00002.safetensors"
        save_file({name: torch.randn(SIDE, SIDE, generator=generator) for name in own}, directory / shard)
        weight_map |= dict.fromkeys(own, shard)
    content = {"weight_map": dict(sorted(weight_map.items()))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(content))


class Watch:
    """Counts the bytes of tensors that are alive at once; a tensor is dead when nothing refers to its memory."""

    def __init__(self) -> None:
        self.alive, self.most, self.num_read = 0, 0, 0
        self._read = lazy_tensors.read_bytes

    def read(self, path: Path, start: int, num_bytes: int) -> torch.Tensor:
        taken = self._read(path, start, num_bytes)
        self.alive += num_bytes
        self.most, self.num_read = max(self.most, self.alive), self.num_read + 1
        owner = np.array(taken.numpy())
        weakref.finalize(owner, self._let_go, num_bytes)
        return torch.from_numpy(owner)  # which keeps the array for as long as any view of its bytes lives

    def _let_go(self, num_bytes: int) -> None:
        self.alive -= num_bytes


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(lazy_tensors, "read_bytes", watch.read)
    return watch


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (0, 10, 20):
        write_sharded(tmp_path / "run" / f"checkpoint-{step}", step)
    return tmp_path / "run"


def analyze(run: Path, out: str, **options: Any) -> Any:
    grokprobe.analyze(run, out=run.parent / out, name="net", **options)
    return grokprobe.open_results(run.parent / out)["net/probes"]


OPTIONS = {
    "probes": ["weights", "steps", "fourier"],
    "settings": [f"fourier.period={SIDE // 2}", "fourier.axes.layer.0.weight=0"],
}


def test_a_streamed_run_has_the_numbers_of_a_kept_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = analyze(run, "kept.zarr", **OPTIONS)
    monkeypatch.setattr(loading, "KEPT_BYTES", 0)
    streamed = analyze(run, "streamed.zarr", **OPTIONS)
    for group in ("weights", "steps", "fourier"):
        for name, values in kept[group].data_vars.items():
            np.testing.assert_array_equal(values, streamed[group][name], err_msg=str(name))


@pytest.mark.parametrize(("probe", "num_tensors"), [("weights", 2), ("steps", 3)])
def test_few_tensors_are_alive_at_once(
    run: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, probe: str, num_tensors: int
) -> None:
    analyze(run, "kept.zarr", probes=[probe])
    assert watch.most >= NUM_LAYERS * SIDE * SIDE * 4
    assert watch.alive == 0  # nothing waits for the collector of cycles
    monkeypatch.setattr(loading, "KEPT_BYTES", 0)
    watch.most = 0
    analyze(run, "streamed.zarr", probes=[probe])
    # two are compared when the plan looks for buffers
    assert watch.most == num_tensors * SIDE * SIDE * 4


def test_discovery_audit_and_comparison_hold_a_tensor_or_two(run: Path, watch: Watch) -> None:
    (found,) = discover(run).runs
    assert watch.num_read == 0
    assert audit_run(found) == ()
    assert (watch.num_read, watch.most) == (3 * NUM_LAYERS, SIDE * SIDE * 4)


def test_a_conversion_holds_a_tensor_at_a_time(run: Path, watch: Watch, tmp_path: Path) -> None:
    assert convert(run, tmp_path / "out").failures == ()
    assert watch.most == SIDE * SIDE * 4


def test_a_checkpoint_that_is_evaluated_is_kept_however_large(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "KEPT_BYTES", 0)
    (found,) = discover(run).runs
    first: CheckpointRef = found.checkpoints[0]
    whole = build_loader(Reading(), torch.device("cpu"), is_evaluated=True)(first)
    streamed = build_loader(Reading(), torch.device("cpu"), is_evaluated=False)(first)
    assert isinstance(whole, dict)
    assert isinstance(streamed, StreamedParameters | UnreadParameters)
    assert whole["layer.0.weight"] is whole["layer.0.weight"]
    assert streamed["layer.0.weight"] is not streamed["layer.0.weight"]
    assert list(streamed) == list(whole)
    with torch.inference_mode():
        assert not streamed["layer.0.weight"].is_inference()


def test_a_file_that_is_cut_short_while_it_is_measured_costs_its_results_only(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "KEPT_BYTES", 0)
    (found,) = discover(run).runs
    parameters = build_loader(Reading(), torch.device("cpu"), is_evaluated=False)(found.checkpoints[0])
    shard = found.checkpoints[0].parts[0]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(CorruptCheckpointError, match="it ends 10 bytes too early; it may have changed while it was"):
        parameters["layer.6.weight"].sum()  # the last one of the first shard
    assert parameters["layer.0.weight"].shape == (SIDE, SIDE)
