"""How near a training step is to what the processor allows: ``python -m benchmarks.roofline``.

For each built-in task the operations and bytes that a step of one member needs at least are counted by formula; the
processor's rates for products of that size and for memory are measured in the same run, on one thread; and the step
of the stacked form is timed. The fraction reached is the longer of the two bounds over the time of the step.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from grokprobe.interfaces import RunCoordinates
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import SilentProgress
from grokprobe.training.recipe import load_recipe
from grokprobe.training.stacked import StackedEnsemble

NUM_REPEATS = 9
#: Bytes that fused Adam moves for a parameter: it reads value, gradient and moments, and writes value and moments.
ADAM_BYTES = 7 * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A step of one member of a task at its published settings."""

    recipe: str
    num_members: int
    num_parameters: int
    #: Multiplications and additions of the products, forward and backward.
    operations: float
    #: Bytes of activations that are written once and read once.
    activation_bytes: float
    #: Sizes m, k, n of a typical product.
    product: tuple[int, int, int]


def count_modular_addition(batch: int = 64, p: int = 113, hidden: int = 512) -> Case:
    """The first layer is a gather, so that products are left for the second: forward, and two backward."""
    return Case(
        recipe="modular_addition/paper",
        num_members=4,
        num_parameters=3 * p * hidden + hidden + p,
        operations=3 * 2 * batch * hidden * p,
        activation_bytes=2 * 4 * batch * (3 * hidden + 2 * p),
        product=(batch, hidden, p),
    )


def count_ising(batch: int = 300, side: int = 16, hidden: int = 100) -> Case:
    """Direct convolutions; the first has no gradient of its input."""
    conv1 = 2 * batch * side**2 * 9 * 2
    conv2 = 2 * batch * (side // 2) ** 2 * 18 * 4
    linear = 2 * batch * (64 * hidden + hidden * 2)
    maps = side**2 * 2 + (side // 2) ** 2 * (2 + 4) + 64 + hidden
    return Case(
        recipe="ising/paper",
        num_members=8,
        num_parameters=6798,
        operations=2 * conv1 + 3 * conv2 + 3 * linear,
        activation_bytes=2 * 2 * 4 * batch * maps,
        product=(batch * 64, 16, 64),
    )


def shortest(function: Callable[[], object], num_calls: int) -> float:
    """Returns the least seconds of a call over the repeats."""
    function()
    times = []
    for _ in range(NUM_REPEATS):
        start = time.perf_counter()
        for _ in range(num_calls):
            function()
        times.append((time.perf_counter() - start) / num_calls)
    return min(times)


def measure_product_rate(m: int, k: int, n: int) -> float:
    """Returns operations a second of an (m, k) × (k, n) product in float32."""
    left, right, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    return 2 * m * k * n / shortest(lambda: torch.mm(left, right, out=out), 50)


def measure_memory_rate(num_bytes: int) -> float:
    """Returns bytes a second of adding one array of this size to another: two reads and a write."""
    first, second = torch.randn(num_bytes // 4), torch.randn(num_bytes // 4)
    return 3 * num_bytes / shortest(lambda: first.add_(second), 50)


def time_step(case: Case) -> float:
    """Returns the seconds of a step of one member, Adam included, in the stacked form."""
    plugins = load_plugins(PluginSelection())
    task_name, _, short_name = case.recipe.partition("/")
    text = plugins.find_task(task_name).recipes[short_name]
    recipe = load_recipe(text, case.recipe, plugins.find_task)
    task = recipe.build_task(plugins.find_task)
    members = [RunCoordinates(seed=0, init_scale=float(number + 1)) for number in range(case.num_members)]
    optimizers = [recipe.optimizer] * len(members)
    ensemble = StackedEnsemble(task, task.population(SilentProgress()), optimizers, members, torch.device("cpu"))
    num_steps = min(ensemble.num_steps, 20)
    return shortest(lambda: ensemble.train_epoch(1, max_steps=num_steps), 1) / num_steps / case.num_members


def main() -> None:
    """Prints a line for each task."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for case in (count_modular_addition(), count_ising()):
        num_bytes = case.num_parameters * (ADAM_BYTES + 8) + case.activation_bytes
        product_rate = measure_product_rate(*case.product)
        memory_rate = measure_memory_rate(int(case.num_members * num_bytes / 2))  # two arrays, what a step of all moves
        step = time_step(case)
        bound = max(case.operations / product_rate, num_bytes / memory_rate)
        print(
            f"{case.recipe}: {case.operations / 1e6:.1f} MFLOP, {num_bytes / 1e6:.1f} MB a step and member;"
            f" products {product_rate / 1e9:.0f} GFLOP/s, memory {memory_rate / 1e9:.0f} GB/s;"
            f" bounds {1e6 * case.operations / product_rate:.0f} and {1e6 * num_bytes / memory_rate:.0f} us,"
            f" measured {1e6 * step:.0f} us: {bound / step:.0%}"
        )


if __name__ == "__main__":
    main()
