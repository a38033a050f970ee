"""Winding clusters: pictures whose answer is seen, and the walk over the plane on everything else."""

import numpy as np
import pytest
import torch

from grokprobe_tasks.ising import domain_walls
from grokprobe_tasks.ising.domain_walls import find_domain_walls
from reference import ising

PICTURES = {
    "all up": ("####", "####", "####", "####", False),
    "island": ("....", ".##.", ".##.", "....", False),
    "island over the corner": ("#..#", "....", "....", "#..#", False),
    "horizontal band": ("####", "####", "....", "....", True),
    "vertical band": (".##.", ".##.", ".##.", ".##.", True),
    "band over the edge": ("#..#", "#..#", "#..#", "#..#", True),
    "cross": (".#..", "####", ".#..", ".#..", False),
    "diagonal band": ("##..", ".##.", "..##", "#..#", True),
    "chessboard": ("#.#.", ".#.#", "#.#.", ".#.#", False),
    "bent band": ("##..", ".#..", ".#..", "##..", True),
    "torn band": ("####", "##.#", "....", "....", True),
    "cut band": ("###.", "...#", "...#", "...#", False),
}


def read_picture(*lines):
    return torch.tensor([[1 if mark == "#" else -1 for mark in line] for line in lines], dtype=torch.int8)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    *lines, expected = PICTURES[name]
    spins = read_picture(*lines)
    assert find_domain_walls(spins[None]).tolist() == [expected]
    assert (ising.winds(spins.numpy(), 1) and ising.winds(spins.numpy(), -1)) == expected


def line_of_winding(size, width, winding):
    """Up spins within ``width`` of a closed line of ``winding`` = (x, y), the same in each of the covers."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.where((winding[0] * row - winding[1] * column) % size < width, 1, -1).to(torch.int8)


@pytest.mark.parametrize("winding", [(1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (3, 2), (1, -2)])
def test_bands_of_every_winding(winding):
    spins = line_of_winding(16, 8, winding)
    assert bool(find_domain_walls(spins[None]))
    assert ising.winds(spins.numpy(), 1)
    assert ising.winds(spins.numpy(), -1)


@pytest.mark.parametrize(("size", "smoothing"), [(3, 0), (4, 0), (4, 1), (7, 1), (8, 2)])
def test_walk_over_the_plane_agrees(size, smoothing):
    generator = np.random.default_rng(size)
    spins = generator.choice([-1, 1], size=(400, size, size))
    for _ in range(smoothing):  # larger clusters, so that both answers are met
        spins = np.sign(spins + sum(np.roll(spins, shift, axis) for shift in (1, -1) for axis in (1, 2)))
    expected = [ising.winds(snapshot, 1) and ising.winds(snapshot, -1) for snapshot in spins]
    assert 0 < sum(expected) < 400
    assert find_domain_walls(torch.from_numpy(spins)).tolist() == expected


def test_batches_change_nothing(monkeypatch):
    spins = torch.from_numpy(np.random.default_rng(0).choice([-1, 1], size=(100, 6, 6)))
    whole = find_domain_walls(spins)
    monkeypatch.setattr(domain_walls, "_BATCH", 7)
    assert torch.equal(find_domain_walls(spins), whole)


def test_no_snapshots():
    assert find_domain_walls(torch.ones(0, 4, 4)).shape == (0,)
