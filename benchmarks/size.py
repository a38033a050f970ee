"""Memory and speed of ``analyze`` on a large sharded checkpoint: ``python -m benchmarks.size [--gigabytes N]``.

A model of random bfloat16 weights is written as Hugging Face libraries write it, in shards of about 2 GB with an index,
below the temporary directory, and removed at the end, also after a failure. Its layers are those of a transformer of
width 2048: the largest tensor is the embedding, 32000 x 2048. Then, in this order: all its bytes are read through once,
which fills the page cache as far as it goes; they are read again, which is the peer; and ``grokprobe analyze`` measures
them in a process of its own, whose largest resident size the system reports. It needs Linux.

``analyze`` reads a checkpoint more than once: for its digest, for the coordinates of measures that are new, and to
measure it. So bytes per second are those of the checkpoint over the time of the whole command, its start included.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file

WIDTH: Final = 2048
HIDDEN: Final = 8192
NUM_TOKENS: Final = 32_000
GIGABYTE: Final = 10**9
SHARD_BYTES: Final = 2 * GIGABYTE
BUFFER_BYTES: Final = 8 * 2**20
#: Room that is left on the disk.
SPARE_BYTES: Final = 2 * GIGABYTE


def shapes(num_bytes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields names and shapes of tensors of bfloat16 until they have about ``num_bytes``."""
    yield "model.embed_tokens.weight", (NUM_TOKENS, WIDTH)
    left, layer = num_bytes - 2 * NUM_TOKENS * WIDTH, 0
    while left > 0:
        sides: dict[str, tuple[int, ...]] = dict.fromkeys(("q", "k", "v", "o"), (WIDTH, WIDTH))
        sides |= {"up": (HIDDEN, WIDTH), "down": (WIDTH, HIDDEN), "norm": (WIDTH,)}
        for name, shape in sides.items():
            yield f"model.layers.{layer}.{name}.weight", shape
            left -= 2 * torch.Size(shape).numel()
        layer += 1


def write_model(directory: Path, num_bytes: int, seed: int) -> None:
    """Writes a sharded model."""
    directory.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    weight_map: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}

    def flush() -> None:
        path = directory / f"model-{len(set(weight_map.values())) + 1:05d}.safetensors"
        save_file(shard, path)
        weight_map.update(dict.fromkeys(shard, path.name))
        shard.clear()

    for name, shape in shapes(num_bytes):
        shard[name] = torch.randn(shape, generator=generator).to(torch.bfloat16)
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            flush()
    if shard:
        flush()
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def read_through(files: Sequence[Path]) -> float:
    """Reads files one after the other and returns the seconds it took."""
    buffer = bytearray(BUFFER_BYTES)
    start = time.perf_counter()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - start


def analyze(arguments: Sequence[str]) -> tuple[float, int]:
    """Runs ``grokprobe analyze`` and returns its seconds and its largest resident size in bytes.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "grokprobe", "analyze", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603 - this interpreter with the options of this program
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return seconds, usage.ru_maxrss * 1024


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Memory and speed of analyze on a large sharded checkpoint.")
    parser.add_argument("--gigabytes", type=float, default=8.0, help="size of a checkpoint")
    parser.add_argument("--checkpoints", type=int, default=1, help="number of checkpoints of the run")
    parser.add_argument("--probes", default="weights")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    given = parser.parse_args()
    num_bytes = int(given.gigabytes * GIGABYTE)
    root = Path(tempfile.mkdtemp(prefix="grokprobe-size-"))
    try:
        free = shutil.disk_usage(root).free
        if given.checkpoints * num_bytes + SPARE_BYTES > free:
            parser.error(
                f"{given.checkpoints} x {num_bytes} bytes and room to spare are more than the {free} that are free"
            )
        for step in range(given.checkpoints):
            # in a process of its own: one that ends with a command reports the size of its parent, if that is larger
            writing = multiprocessing.get_context("spawn").Process(
                target=write_model, args=(root / "run" / f"checkpoint-{step}", num_bytes, step)
            )
            writing.start()
            writing.join()
            if writing.exitcode:
                raise RuntimeError(f"writing the model ended with status {writing.exitcode}")
        files = sorted((root / "run").rglob("*.safetensors"))
        total = sum(path.stat().st_size for path in files)
        first, again = read_through(files), read_through(files)
        options = [option for setting in given.set for option in ("--set", setting)]
        seconds, peak = analyze(
            [str(root / "run"), "--probes", given.probes, "--name", "large", "--out", str(root / "out.zarr"), *options]
        )
    finally:
        shutil.rmtree(root)
    print(f"bytes of the run                    {total / GIGABYTE:8.2f} GB in {len(files)} shards")
    print(f"plain reading, the first time       {total / first / GIGABYTE:8.2f} GB/s")
    print(f"plain reading, page cache warm      {total / again / GIGABYTE:8.2f} GB/s")
    print(f"analyze --probes {given.probes:<18} {total / seconds / GIGABYTE:8.3f} GB/s, {seconds:.0f} s")
    print(f"  against warm plain reading        {again / seconds:8.4f}")
    print(f"  largest resident size             {peak / GIGABYTE:8.2f} GB")


if __name__ == "__main__":
    main()
