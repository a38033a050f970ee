"""Random damage to good checkpoints of every format: ``python -m benchmarks.fuzz_readers [SECONDS]``.

Each round takes a small good file, flips, cuts, repeats or splices bytes of it, and reads the result. It has to end in
parameters or in one line of an error of ours; anything else is printed with the seed of its round, and ends the run
with a failure. A canary in the path of every ``system`` call of the files would show an execution.
"""

import io
import json
import os
import pickle
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch.distributed.checkpoint import save as save_distributed

from grokprobe.checkpoints import read_checkpoint
from grokprobe.errors import CheckpointError

#: Rounds between two looks at the clock.
BATCH = 200


class Touch:
    """What an ordinary reader would execute."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch '{self._canary}'",)


def write_good_files(directory: Path, canary: Path) -> list[Path]:
    """Writes one small file of every format; those of shards and distributed checkpoints beside what they point to."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    content = {"model": network.state_dict(), "epoch": 3, "args": Touch(canary)}
    files: dict[str, bytes] = {
        "zip": _saved(network.state_dict()),
        "zip with code": _saved(content),
        "legacy": _saved(content, _use_new_zipfile_serialization=False),
        "module": _saved(network),
        "pickle 2": pickle.dumps(network, protocol=2),
        "pickle 5": pickle.dumps({"w": np.ones((2, 3)), "b": torch.ones(2), "x": Touch(canary)}, protocol=5),
        "safetensors": save({"w": torch.ones(2, 3), "b": torch.ones(2).bfloat16()}, metadata={"epoch": "3"}),
        "m.index.json": json.dumps({"weight_map": {"w": "shard", "b": "shard"}}).encode(),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, w=np.ones((2, 3)), epoch=3)
    files["npz"] = buffer.getvalue()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    (directory / "shard").write_bytes(files["safetensors"])
    save_distributed({"model": network.state_dict(), "epoch": 3}, checkpoint_id=directory, no_dist=True)
    return [*(directory / name for name in files), directory / ".metadata"]


def _saved(content: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] = draw.choice((draw.randrange(256), 0, 255, ord("."), ord("R"), ord("b")))


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def _remove(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.randint(1, 40)]


def _repeat(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    data[start:start] = data[start : start + draw.randint(1, 80)] * draw.choice((1, 1, 2, 300))


def _splice(data: bytearray, draw: random.Random) -> None:
    start, other = draw.randrange(len(data)), draw.randrange(len(data))
    length = draw.randint(1, 60)
    data[start : start + length] = data[other : other + length]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _flip, _cut, _remove, _repeat, _splice)


def main(seconds: float) -> int:
    """Runs for ``seconds`` and prints what the rounds ended in; returns the number of faults."""
    ends: Counter[str] = Counter()
    slowest, faults = (0.0, ""), 0
    with tempfile.TemporaryDirectory() as name:
        canary = Path(name) / "canary"
        good = write_good_files(Path(name), canary)
        contents = {path: path.read_bytes() for path in good}
        stop, seed = time.monotonic() + seconds, 0
        while time.monotonic() < stop:
            for seed in range(seed, seed + BATCH):  # noqa: B020 - goes on where the last batch ended
                draw = random.Random(seed)  # noqa: S311 - not for secrets
                path = good[seed % len(good)]
                data = bytearray(contents[path])
                for _ in range(draw.randint(1, 3)):
                    if data:
                        draw.choice(DAMAGES)(data, draw)
                path.write_bytes(data)
                started = time.process_time()
                try:
                    dict(read_checkpoint(path).parameters)
                    ends["read"] += 1
                except CheckpointError as error:
                    ends[type(error).__name__] += 1
                    if "\n" in str(error):
                        faults += 1
                        print(f"seed {seed}, {path.name}: several lines: {error!r}")
                except BaseException as error:  # noqa: BLE001 - that is what is looked for
                    faults += 1
                    print(f"seed {seed}, {path.name}: {error!r}")
                slowest = max(slowest, (time.process_time() - started, f"seed {seed}, {path.name}"))
                path.write_bytes(contents[path])
                if canary.exists():
                    print(f"seed {seed}, {path.name}: executed")
                    return faults + 1
            seed += 1
    print(f"{sum(ends.values())} rounds in {seconds:g} s, {faults} faults: {dict(ends)}")
    print(f"slowest: {slowest[0]:.2f} s of the processor, {slowest[1]}")
    return faults


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0) > 0)
