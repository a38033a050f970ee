"""The plain PyTorch training loop of one member, as good as a careful user writes it.

All data are in memory as float32 tensors sliced by index, there is no DataLoader, Adam is the fused one, gradients are
set to none, the loss takes integer labels, denormals are flushed, and torch has two threads. Initialisation and data
order do not matter for the time; that the networks start at the published scale does, since dead neurons are cheap.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

NUM_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A network, its data and how it is trained."""

    build: Callable[[], nn.Module]
    train: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]
    lr: float
    weight_decay: float
    batch_size: int
    #: A row of the history every so many epochs.
    history_every: int


def build_modular_addition(p: int = 113, hidden: int = 512) -> Problem:
    """The published settings of modular addition."""
    first, second = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    inputs = torch.cat([nn.functional.one_hot(first, p), nn.functional.one_hot(second, p)], dim=1).float()
    targets = (first + second) % p
    order = torch.randperm(p * p, generator=torch.Generator().manual_seed(0))
    num_train = int(0.7 * p * p)

    def build() -> nn.Module:
        network = nn.Sequential(nn.Linear(2 * p, hidden), nn.ReLU(), nn.Linear(hidden, p))
        for layer in (network[0], network[2]):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        return network

    train, test = order[:num_train], order[num_train:]
    return Problem(
        build=build,
        train=(inputs[train], targets[train]),
        test=(inputs[test], targets[test]),
        lr=5e-3,
        weight_decay=3e-5,
        batch_size=64,
        history_every=1,
    )


def build_ising(inputs: torch.Tensor, targets: torch.Tensor) -> Problem:
    """The published settings of the Ising task, on 300 + 1000 snapshots (n, 1, 16, 16)."""

    def build() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 2)),
        )

    return Problem(
        build=build,
        train=(inputs[:300], targets[:300]),
        test=(inputs[300:1300], targets[300:1300]),
        lr=1e-4,
        weight_decay=0.1,
        batch_size=300,
        history_every=10,
    )


def time_epoch(problem: Problem, num_epochs: int) -> float:
    """Returns the seconds of an epoch, history included, after one epoch to warm up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    torch.set_flush_denormal(True)
    try:
        torch.manual_seed(0)
        network = problem.build()
        optimizer = torch.optim.Adam(network.parameters(), lr=problem.lr, weight_decay=problem.weight_decay, fused=True)
        _train(network, optimizer, problem, range(1))
        start = time.perf_counter()
        _train(network, optimizer, problem, range(1, num_epochs + 1))
        return (time.perf_counter() - start) / num_epochs
    finally:
        torch.set_num_threads(threads)


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, problem: Problem, epochs: range) -> None:
    inputs, targets = problem.train
    for epoch in epochs:
        for start in range(0, len(inputs), problem.batch_size):
            batch = slice(start, start + problem.batch_size)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            optimizer.step()
        if epoch % problem.history_every == 0:
            for samples, labels in (problem.train, problem.test):
                with torch.no_grad():
                    outputs = network(samples)
                    nn.functional.cross_entropy(outputs, labels).item()
                    (outputs.argmax(dim=1) == labels).float().mean().item()
