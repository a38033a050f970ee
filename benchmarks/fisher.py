"""The speed of Fisher information against nngeometry: ``python -m benchmarks.fisher [NAME …]``.

The peer computes the diagonal of the same Fisher matrix at its best batch size, which is looked for first. Then each
repeat times both one after the other, in this process and with torch's number of threads. The table has the medians of
the repeats and of their ratios, by the clock and by the time of the processor, which other work on the machine disturbs
less; and how far the two diagonals are apart. It needs the extra ``bench``.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM
from nngeometry.object import PMatDiag
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from grokprobe.context import Network
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import compute_fisher_gram
from grokprobe.numerics.fisher_spectrum import compute_fisher_eigenvalues
from grokprobe.numerics.output_fisher import IdentityFisher, OutputFisher, exact_fisher
from grokprobe_tasks.ising.network import ConvNetwork
from grokprobe_tasks.modular_addition.network import TwoLayerNetwork

NUM_REPEATS = 9
BATCH_SIZES = (16, 32, 64, 128, 256, 512)
NUM_TANGENTS = 3

EXACT = exact_fisher("categorical")


class Subject:
    """A network, its inputs, and both programs' view of them."""

    def __init__(self, module: nn.Module, inputs: torch.Tensor) -> None:
        self.module, self.inputs = module.eval(), inputs
        self.parameters = {name: tensor.detach() for name, tensor in module.state_dict().items()}
        self.network = Network(module=self.module, mapping={name: name for name in self.parameters})
        generator = torch.Generator().manual_seed(0)
        self.tangents = [
            {name: torch.randn(tensor.shape, generator=generator) for name, tensor in self.parameters.items()}
            for _ in range(NUM_TANGENTS)
        ]

    def compute_diagonal(self, fisher: OutputFisher) -> torch.Tensor:
        """Returns grokprobe's diagonal as one vector."""
        found = compute_fisher_diagonal(self.network, self.parameters, self.inputs, fisher)
        return torch.cat([values.flatten() for values in found.values()])

    def compute_gram(self, fisher: OutputFisher) -> torch.Tensor:
        """Returns grokprobe's inner products of the tangents."""
        return compute_fisher_gram(self.network, self.parameters, self.tangents, self.inputs, fisher)

    def compute_peer(self, variant: str, batch_size: int) -> torch.Tensor:
        """Returns nngeometry's diagonal as one vector."""
        loader = DataLoader(TensorDataset(self.inputs, torch.zeros(len(self.inputs))), batch_size=batch_size)
        layers = LayerCollection.from_model(self.module)
        found = FIM(self.module, loader, PMatDiag, variant=variant, device="cpu", layer_collection=layers)
        return found.get_diag().detach()


def build_modular_addition() -> Subject:
    """The network of 174193 parameters on 512 pairs."""
    torch.manual_seed(0)
    pairs = torch.randint(0, 113, (512, 2))
    inputs = torch.zeros(512, 226).scatter_(1, pairs + torch.tensor([0, 113]), 1.0)
    return Subject(TwoLayerNetwork(113, 512), inputs)


def build_ising() -> Subject:
    """The network of 6798 parameters on 300 spin configurations."""
    torch.manual_seed(0)
    return Subject(ConvNetwork(16, (2, 4), 100), torch.randint(0, 2, (300, 1, 16, 16)) * 2.0 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is timed against the peer's diagonal."""

    build: Callable[[], Subject]
    fisher: OutputFisher
    variant: str
    is_gram: bool = False


CASES: Mapping[str, Case] = {
    "modular_addition": Case(build=build_modular_addition, fisher=EXACT, variant="classif_logits"),
    "modular_addition_regression": Case(build=build_modular_addition, fisher=IdentityFisher(), variant="regression"),
    "ising": Case(build=build_ising, fisher=EXACT, variant="classif_logits"),
    "ising_regression": Case(build=build_ising, fisher=IdentityFisher(), variant="regression"),
    "modular_addition_gram": Case(build=build_modular_addition, fisher=EXACT, variant="classif_logits", is_gram=True),
}

NAMES = [*CASES, "ising_spectrum"]


class Seconds(NamedTuple):
    """How long something took."""

    clock: float
    processor: float


def time_call(function: Callable[[], object], num_calls: int = 1) -> Seconds:
    """Returns the seconds of one call, the mean of ``num_calls`` in a row."""
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(num_calls):
        function()
    return Seconds((time.perf_counter() - clock) / num_calls, (time.process_time() - processor) / num_calls)


def find_best_batch_size(subject: Subject, variant: str) -> int:
    """Returns the peer's fastest batch size, by the best of three."""
    sizes = [size for size in BATCH_SIZES if size < len(subject.inputs)] + [len(subject.inputs)]
    times = {
        size: min(time_call(lambda s=size: subject.compute_peer(variant, s)).processor for _ in range(3))
        for size in sizes
    }
    return min(times, key=lambda size: times[size])


def run_case(name: str, case: Case) -> None:
    """Prints medians of peer, grokprobe and their ratios."""
    subject = case.build()
    batch_size = find_best_batch_size(subject, case.variant)
    peer, own = subject.compute_peer(case.variant, batch_size), subject.compute_diagonal(case.fisher)
    apart = ((peer - own).norm() / own.norm()).item()
    compute = subject.compute_gram if case.is_gram else subject.compute_diagonal
    compute(case.fisher)
    peers, ours = [], []
    for _ in range(NUM_REPEATS):
        peers.append(time_call(lambda: subject.compute_peer(case.variant, batch_size)))
        ours.append(time_call(lambda: compute(case.fisher), num_calls=5))
    what = f"Gram of {NUM_TANGENTS} tangents" if case.is_gram else "diagonal"
    print(
        f"{name}, {len(subject.inputs)} samples: nngeometry's diagonal in batches of {batch_size}, grokprobe's {what};"
        f" diagonals {apart:.0e} apart"
    )
    for kind in Seconds._fields:
        theirs, mine = ([getattr(seconds, kind) for seconds in times] for times in (peers, ours))
        ratio = statistics.median(one / other for one, other in zip(theirs, mine, strict=True))
        print(
            f"    by the {kind}: {1e3 * statistics.median(theirs):.1f} ms, {1e3 * statistics.median(mine):.2f} ms;"
            f" {ratio:.1f} times faster"
        )


def run_spectrum() -> None:
    """Prints the time of all eigenvalues of the small network's matrix."""
    subject = build_ising()
    given = (subject.network, subject.parameters, subject.inputs, EXACT)
    times = [time_call(lambda: compute_fisher_eigenvalues(*given)).clock for _ in range(NUM_REPEATS)]
    size = sum(tensor.numel() for tensor in subject.parameters.values())
    print(f"ising_spectrum: eigenvalues of the {size} x {size} matrix in {statistics.median(times):.2f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is named, else everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args(arguments).names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"expected some of {', '.join(NAMES)}, found {unknown[0]}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {NUM_REPEATS} repeats")
    for name in names:
        if name == "ising_spectrum":
            run_spectrum()
        else:
            run_case(name, CASES[name])


if __name__ == "__main__":
    main()
