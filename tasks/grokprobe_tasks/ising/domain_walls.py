"""Which snapshots hold extended domain walls, those that wind around the torus."""

from typing import Final, cast

import numpy as np
import torch
from scipy import ndimage, sparse
from scipy.sparse import csgraph

#: Snapshots looked at together.
_BATCH: Final = 4096
#: Sites are neighbours along a row or a column of one snapshot, never across snapshots.
_STRUCTURE: Final = np.stack((np.zeros((3, 3)), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3))))


def find_domain_walls(spins: torch.Tensor) -> torch.Tensor:
    """Returns whether a cluster of up spins and one of down spins both wind around the torus.

    A cluster is a set of equal spins connected through nearest neighbours. It winds if it holds a closed path that
    leads around the periodic lattice, along x, along y or both. Where clusters of both signs wind, the walls between
    them wind as well: domains in the shape of bands, which a quench to low temperature leaves behind and which live far
    longer than a compact domain. That holds well below T_c; near and above it clusters of both signs wind by chance (at
    L = 16 in 0.1 to 0.2 of the snapshots). Invariant to a flip of every spin, to translation and to the symmetries of
    the square.

    Whether a cluster winds is decided exactly: the torus is covered by one of twice its length along x, where each site
    lies twice. The two copies of a site are connected if and only if the cluster holds a closed path of odd winding
    number along x; likewise along y. A simple closed path has coprime winding numbers (or none), so that one of them is
    odd if it winds at all, and a cluster that winds holds a simple closed path that does.

    Args:
        spins: ±1, shape (num_snapshots, L, L).

    Returns:
        bool, shape (num_snapshots,).

    Reference: Spirin, Krapivsky and Redner, Phys. Rev. E 63, 036118 (2001), on the bands that a quench ends in.
    """
    found = np.zeros(len(spins), dtype=bool)
    for first in range(0, len(spins), _BATCH):
        batch = spins[first : first + _BATCH].cpu().numpy()
        found[first : first + _BATCH] = _has_winding_cluster(batch > 0) & _has_winding_cluster(batch < 0)
    return torch.from_numpy(found)


def _has_winding_cluster(occupied: np.ndarray) -> np.ndarray:
    """Returns which lattices of ``occupied``, bool of shape (n, L, L), hold a winding cluster of occupied sites."""
    labelled = ndimage.label(occupied, structure=_STRUCTURE)  # clusters of the lattice cut open
    pieces, num_pieces = cast("tuple[np.ndarray, int]", labelled)
    across_rows = _find_bonds(pieces[:, -1, :], pieces[:, 0, :])
    across_columns = _find_bonds(pieces[:, :, -1], pieces[:, :, 0])
    winds = _winds(across_rows, across_columns, num_pieces) | _winds(across_columns, across_rows, num_pieces)
    return np.any(winds[pieces], axis=(1, 2))


def _find_bonds(last: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns the pairs of pieces that touch across the boundary, shape (2, num_bonds)."""
    occupied = (last > 0) & (first > 0)
    return np.stack((last[occupied], first[occupied]))


def _winds(crossing: np.ndarray, staying: np.ndarray, num_pieces: int) -> np.ndarray:
    """Returns which pieces are connected to their own copy in the double cover, shape (num_pieces + 1,).

    Args:
        crossing: bonds that lead from one copy to the other.
        staying: bonds that lead from each copy to itself.
        num_pieces: pieces are numbered from 1; 0 is no piece.
    """
    num = num_pieces + 1
    starts = np.concatenate((crossing[0], crossing[0] + num, staying[0], staying[0] + num))
    ends = np.concatenate((crossing[1] + num, crossing[1], staying[1], staying[1] + num))
    bonds = sparse.coo_array((np.ones(len(starts), dtype=bool), (starts, ends)), shape=(2 * num, 2 * num))
    components = csgraph.connected_components(bonds, directed=False)[1]
    return components[:num] == components[num:]
