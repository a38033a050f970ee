"""The modular addition network as somebody else would have saved it."""

from pathlib import Path

import torch

from grokprobe_tasks.modular_addition.task import (
    ModularAddition,
    ModularAdditionModelOptions,
    ModularAdditionOptions,
)

P, HIDDEN = 5, 8
#: What has to be said about it.
SETTINGS = (f"task.p={P}", f"model.hidden={HIDDEN}")
TASK = ModularAddition(ModularAdditionOptions(p=P), ModularAdditionModelOptions(hidden=HIDDEN))


def build_network(epoch: int, seed: int = 0) -> torch.nn.Sequential:
    network = torch.nn.Sequential(torch.nn.Linear(2 * P, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, P))
    generator = torch.Generator().manual_seed(100 * seed + epoch)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network.eval()


def write_foreign_run(directory: Path, epochs: list[int], seed: int = 0) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        state = {f"model.{name}": tensor for name, tensor in build_network(epoch, seed).state_dict().items()}
        torch.save(state, directory / f"{epoch}.pt")
