"""The speed of a compression curve against a plain loop: ``python -m benchmarks.compression [--threads N]``.

Both evaluate loss and accuracy of one network, modular addition at p = 113 with 512 hidden neurons after 20 epochs, at
101 amounts of magnitude pruning on the 3831 test pairs. The peer sorts once, and for each amount copies pruned weights
into an ``nn.Sequential`` that it calls on all two-hot test inputs together. The time of grokprobe is that of the whole
measurement at a checkpoint, with the order of the weights and the numbers that follow from the curve, as
``grokprobe analyze`` has it. Each repeat times one after the other, on as many threads; printed are the medians of the
repeats and of their ratios. Memory is by how much the peak of a fresh process that has the data grows
while it measures for the first time; it needs Linux.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from grokprobe import train
from grokprobe.binding import BoundRun
from grokprobe.checkpoints import Reading, discover, read_checkpoint
from grokprobe.compressors.curve import CompressionCurve
from grokprobe.compressors.magnitude import MagnitudeCompressor
from grokprobe.context import CheckpointContext
from grokprobe.interfaces import Parameters, Requirement, RunCoordinates, Subject
from grokprobe.variables import Measurement
from grokprobe_tasks.modular_addition.task import ModularAddition, ModularAdditionModelOptions, ModularAdditionOptions

NUM_REPEATS = 7
NUM_EPOCHS = 20
AMOUNTS = np.arange(101) / 100
CURVE = CompressionCurve(MagnitudeCompressor())


def build_context(directory: Path) -> CheckpointContext:
    """Returns the last checkpoint of the run in ``directory``, bound as ``analyze`` binds it."""
    (run,) = discover(directory).runs
    last = run.checkpoints[-1]
    task = ModularAddition(ModularAdditionOptions(), ModularAdditionModelOptions())
    subject = Subject(task=task, shapes=run.shapes, constant=frozenset(), available=frozenset(Requirement))
    bound = BoundRun(
        subject=subject,
        coordinates=RunCoordinates(seed=0, init_scale=0.1),
        checkpoints={last.epoch: last},
        split="seed:0",
        split_content="",
        data_fault="",
        factory="",
        mapping={name: name for name in run.shapes},
        misfit="",
        reference=None,
        reference_fault="",
        reading=Reading(),
    )
    parameters = dict(read_checkpoint(last.path).parameters)
    surroundings = bound.surroundings(torch.device("cpu"), lambda _: parameters)
    return CheckpointContext(surroundings, last.epoch, ("compressors/magnitude", CURVE.version), CURVE.options())


class PlainLoop:
    """Dense forward passes over pruned copies of a network."""

    def __init__(self, parameters: Parameters, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        hidden, width = parameters["input.weight"].shape
        self.network = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width // 2)).eval()
        self.network.load_state_dict(
            {f"{place}.{kind}": parameters[f"{layer}.{kind}"] for place, layer in ((0, "input"), (2, "output"))
             for kind in ("weight", "bias")}
        )  # fmt: skip
        self.inputs, self.targets = inputs, targets

    @torch.inference_mode()
    def run(self) -> np.ndarray:
        """Returns losses and accuracies, shape (amounts, 2)."""
        weights = [self.network[0].weight, self.network[2].weight]
        originals = [weight.clone() for weight in weights]
        places = [original.abs().flatten().argsort().argsort().view_as(original) for original in originals]
        found = []
        for amount in AMOUNTS.tolist():
            for weight, original, place in zip(weights, originals, places, strict=True):
                weight.copy_(original * (place >= round(amount * original.numel())))
            outputs = self.network(self.inputs)
            loss = nn.functional.cross_entropy(outputs, self.targets).item()
            found.append((loss, (outputs.argmax(dim=1) == self.targets).float().mean().item()))
        for weight, original in zip(weights, originals, strict=True):
            weight.copy_(original)
        return np.array(found)


def time_call(function: Callable[[], object]) -> float:
    """Returns the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def run_speed(directory: Path, num_threads: int) -> None:
    """Prints the medians of both and of their ratio, and by how much their results differ."""
    torch.set_num_threads(num_threads)
    context = build_context(directory)
    peer = PlainLoop(context.parameters, context.test.inputs, context.test.targets)

    def measure() -> Measurement:
        return CURVE.measure(context)

    expected, found = peer.run(), measure().values
    difference = np.abs(expected[:, 0] / found["loss"] - 1).max()
    peers, ours = [], []
    for _ in range(NUM_REPEATS):
        peers.append(time_call(peer.run))
        ours.append(time_call(measure))
    ratio = statistics.median(plain / own for plain, own in zip(peers, ours, strict=True))
    print(
        f"speed: {len(AMOUNTS)} amounts, {len(context.test)} pairs, {num_threads} threads;"
        f" plain loop {statistics.median(peers):.2f} s, grokprobe {statistics.median(ours):.2f} s;"
        f" {ratio:.2f} times faster; losses differ by at most {difference:.1e} of themselves"
    )


def run_memory(directory: Path) -> None:
    """Prints the growth of this process's peak memory while it measures for the first time."""
    torch.set_num_threads(1)
    context = build_context(directory)
    samples = len(context.test)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew at what is held now
    before = _peak_kilobytes()
    CURVE.measure(context)
    grown = _peak_kilobytes() - before
    print(f"memory: {samples} pairs; peak grows by {grown / 1024:.0f} MiB to {(before + grown) / 1024:.0f} MiB")


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the network, then runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    num_threads = parser.parse_args(arguments).threads
    print(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, {NUM_REPEATS} repeats")
    with tempfile.TemporaryDirectory() as name:
        sweep = {"seeds": "0", "init_scales": [0.1], "epochs": NUM_EPOCHS, "jobs": 1}
        train("modular_addition/paper", out=name, settings=(f'schedule.checkpoints="{NUM_EPOCHS}"',), **sweep)
        run_speed(Path(name), num_threads)
        process = multiprocessing.get_context("spawn").Process(target=run_memory, args=(Path(name),))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
