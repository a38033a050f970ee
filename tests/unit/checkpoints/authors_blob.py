"""Small runs in the form in which the code of the paper's authors pickles a run, trained here for a few epochs."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from unit.checkpoints.foreign_classes import known_as

#: Side of the lattices.
SIZE = 8


class Network(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model(inputs)


class Bag:
    """An object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Run(Bag):
    pass


class Model(Bag):
    pass


class Arguments(Bag):
    pass


class Pairs(Dataset[Any]):
    def __init__(self, p: int) -> None:
        self.P = p
        first, second = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
        self.data = torch.cat([nn.functional.one_hot(x, p) for x in (first, second)], dim=1).float()
        self.sums = nn.functional.one_hot((first + second) % p, p).float()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.data[k], self.sums[k]


def write_blob(path: Path, task: str, *, num_epochs: int = 4, every: int = 1, scale: float = 3.0) -> dict[str, Any]:
    """Writes a run; returns what it was made of: parameters by epoch, log and split."""
    torch.manual_seed(7)
    network, train, test, config = _modular_addition() if task == "modular_addition" else _ising()
    if task == "modular_addition":  # scaled before it is kept, for Ising afterwards
        _multiply(network, scale)
    kept = copy.deepcopy(network)
    if task == "ising":
        _multiply(network, scale)
    truth = {"parameters": {0: copy.deepcopy(network.state_dict())}}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=0.1)
    models, log = {}, {name: [] for name in ("train_losses", "test_losses", "train_accuracies", "test_accuracies")}
    for epoch in range(num_epochs):
        for inputs, targets in train:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs), targets.float())
            loss.backward()
            optimizer.step()
        _note(log, network, loss.item(), test)
        if epoch % every == 0:
            models[epoch] = {"model": copy.deepcopy(network.state_dict()), "optimiser": optimizer.state_dict()}
            models[epoch] |= {"train_loss": loss.item(), "test_loss": log["test_losses"][-1], "epoch": epoch}
            truth["parameters"][epoch + 1] = models[epoch]["model"]
    params = {"weight_decay": 0.1, "weight_multiplier": scale, "learning_rate": 1e-3, "hidden_layers": [12]}
    params |= {"conv_channels": (2, 4), "train_size": 30, "test_size": 20, "dropout_p": 0.0}
    arguments = Arguments(train_fraction=0.6, batch_size=16, device=torch.device("cpu"), activation=nn.ReLU())
    run = Run(data_seed=2, sgd_seed=2, init_seed=2, params_dic=params, models=models, **log)
    run.train_loader, run.test_loader, run.trainargs = train, test, arguments
    run.modelclass, run.modelconfig = Model, config
    run.modelinstance = Model(optimiser=torch.optim.Adam, hp=arguments, network=kept, train_dataloader=train)
    names = {"tools__data_objects__seed_average_onerun": Run, "models__constructor__Model": Model}
    names |= {"tools__train_args__TrainArgs": Arguments, "datasets__mod_add_dataset__ModularArithmeticDataset": Pairs}
    names["models__architechtures__MLP"] = Network
    with known_as(**names):
        torch.save(run, path)
    return truth | {"log": log, "run": run}


def _modular_addition() -> tuple[Network, Any, Any, dict[str, Any]]:
    p = 5
    order, pairs = torch.randperm(p * p).tolist(), Pairs(p)
    train, test = Subset(pairs, order[:15]), Subset(pairs, order[15:])
    network = Network(nn.Linear(2 * p, 12), nn.ReLU(), nn.Linear(12, p))
    return network, DataLoader(train, 16), DataLoader(test, 16, shuffle=True), {"weight_multiplier": 3.0, "P": p}


def _ising() -> tuple[Network, Any, Any, dict[str, Any]]:
    spins = torch.randint(0, 2, (60, 1, SIZE, SIZE)).float() * 2 - 1
    labels = nn.functional.one_hot(torch.arange(60) % 2, 2)
    test, train = TensorDataset(spins[:20], labels[:20]), TensorDataset(spins[20:50], labels[20:50])
    network = Network(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(SIZE**2 // 4, 12), nn.ReLU(), nn.Dropout(0.0), nn.Linear(12, 2),
    )  # fmt: skip
    config = {"input_dims": torch.Size([SIZE, SIZE]), "output_size": 2, "conv_channels": (2, 4), "hidden_widths": [12]}
    return network, DataLoader(train, 30, shuffle=True), DataLoader(test, 20), config


def _multiply(network: nn.Module, scale: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)


def _note(log: dict[str, list[float]], network: nn.Module, loss: float, test: Any) -> None:
    with torch.no_grad():
        inputs, targets = next(iter(test))
        outputs = network(inputs)
        log["train_losses"].append(loss)
        log["test_losses"].append(nn.functional.cross_entropy(outputs, targets.float()).item())
        log["train_accuracies"].append(0.5)
        log["test_accuracies"].append((outputs.argmax(1) == targets.argmax(1)).float().mean().item())
