"""A reader of an invented format: ``table:EPOCH`` and a line a tensor of float32, with its number of elements."""

from dataclasses import dataclass
from pathlib import Path

import torch

from grokprobe.checkpoints import CheckpointContent
from grokprobe.errors import CorruptCheckpointError

MAGIC = b"table:"


@dataclass(frozen=True)
class TableReader:
    """Reads what :func:`write_table` writes."""

    name: str = "table"
    version: str = "1"

    def recognises(self, path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def read(self, path: Path) -> CheckpointContent:
        first, *lines = path.read_text().split("\n")
        tensors = {}
        for line in lines[:-1]:
            name, count, *numbers = line.split()
            if len(numbers) != int(count):
                raise CorruptCheckpointError(f"{path}: expected {count} numbers, found {len(numbers)}")
            tensors[name] = torch.tensor(list(map(float, numbers))).reshape(-1, 2)
        epoch = first.removeprefix(MAGIC.decode())
        if not epoch.isdigit() or lines[-1:] != ["."]:
            raise CorruptCheckpointError(f"{path}: expected an epoch and a last line, found others")
        return CheckpointContent(parameters=tensors, epoch=int(epoch), format=self.name)


def write_table(path: Path, epoch: int, numbers: tuple[float, ...] = (1, 2, 3, 4)) -> Path:
    lines = [f"{MAGIC.decode()}{epoch}", f"w {len(numbers)} {' '.join(map(str, numbers))}", "."]
    path.write_text("\n".join(lines))
    return path
