"""Directories of small checkpoints, and what discovery says of them."""

import torch


def save(path, value=0.0, **fields):
    """Writes a checkpoint whose single weight tells it apart; with fields it is wrapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {"weight": torch.full((2, 3), float(value))}
    torch.save({"model": weights, **fields} if fields else weights, path)


def epochs(run):
    return [checkpoint.epoch for checkpoint in run.checkpoints]


def reasons(files):
    return {file.path.name: file.reason for file in files}


def faults(found):
    return [*found.unreadable, *found.refused, *found.warnings]
