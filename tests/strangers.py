"""Checkpoints as a stranger would write them."""

from pathlib import Path

import torch


def stranger_parameters(p: int, width: int, *, epoch: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A network with tied inputs and a constant buffer, under names that are not ours."""
    generator = torch.Generator().manual_seed(1000 * seed + epoch)
    return {
        "net.embed": torch.randn(width, p, generator=generator),
        "net.unembed": torch.randn(p, width, generator=generator),
        "net.basis": torch.eye(p),
    }


def write_stranger_run(directory: Path, epochs: list[int], *, p: int = 7, width: int = 12, seed: int = 0) -> None:
    """Writes ``<epoch>.pth``, wrapped, the last one named ``final.pth``; and a data file beside them."""
    directory.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        name = "final" if epoch == epochs[-1] and len(epochs) > 1 else str(epoch)
        content = {"model": stranger_parameters(p, width, epoch=epoch, seed=seed), "epoch": epoch}
        torch.save(content, directory / f"{name}.pth")
    torch.save([(torch.zeros(2), torch.zeros(1))], directory / "train_data.pth")
