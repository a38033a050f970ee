"""Glauber dynamics of many independent Ising configurations at once, 64 in each machine word.

**Dynamics.** A chain picks a site at random and draws its spin anew, up with probability 1 / (1 + exp(−2 h / T)), h the
sum of the four neighbours with periodic boundaries. That is the same as flipping the spin with probability
1 / (1 + exp(ΔE / T)), and keeps detailed balance with the Boltzmann weights exp(−E / T).

**Multi-spin coding.** A word holds one site of 64 chains, a bit each (1 = up), so that bitwise operations update 64
chains together. The chains of a word visit the same random sites; everything else is drawn for each chain alone. The
sites are drawn without looking at any spin. Given the sequence of sites, the chains are therefore independent, and over
the sequences each of them has exactly the law of Glauber dynamics with a site sequence of its own. In equilibrium even
the dependence through the common sites vanishes, since every single-site update leaves the Boltzmann weights as they
are.

**Random bits.** With q = 1 / (1 + exp(2 |h| / T)) the new spin is sign(h), turned over with probability q; for h = 0 it
is a fair bit. A bit that is 1 with probability q = 0.b₁b₂…b_k in binary is b_G, G the position of the first 0 among k
fair bits r₁, …, r_k, and 0 if there is none. So q is rounded to a multiple of 2^−k, an error of at most 2^−(k+1), and
the Boltzmann weights π are invariant up to max |π P − π| ≤ 2^−k max π (:data:`NUM_THRESHOLD_BITS`). Of the r only the
first few are drawn always, the others only where those are all 1 in one of a word's chains. Sites are drawn with 32
bits, exactly uniform where L² is a power of two and to 2^−32 otherwise; any distribution of sites has the same
equilibrium.

**Reproducibility.** The words come from numpy's SFC64, whose stream is guaranteed, and everything else is arithmetic of
integers, so the spins are the same on every device. Their order depends on the number of chains, but not on how many
updates are prepared together. Each update draws, for all words of spins, one word for the site and the always drawn r₁,
r₂, …; the rarely needed r come from a stream of their own, update by update and word by word.

References: Glauber, J. Math. Phys. 4, 294 (1963); Manning-Coe et al., arXiv 2502.01739, section 2.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from scipy.special import expit

#: Part of the key of cached snapshots; raised whenever equal arguments give other spins than before.
KERNEL_VERSION: Final = 1
#: Binary digits k of a flip probability.
NUM_THRESHOLD_BITS: Final = 40
#: Fair bits that are always drawn: they leave one of 64 chains undecided in one of 64 words.
NUM_COMMON_BITS: Final = 12
#: Chains in a word.
WORD_BITS: Final = 64
#: Bytes of random words drawn at once unless ``chunk_size`` says otherwise: they should stay in the processor's cache.
_CHUNK_BYTES: Final = 4_000_000


def compute_up_probabilities(temperatures: torch.Tensor) -> torch.Tensor:
    """Returns the probabilities that the sampler really uses: of a new spin to be up, for each field.

    1 / (1 + exp(−2 h / T)) with the smaller of p and 1 − p rounded to a multiple of 2^−k. They are exact binary
    fractions, and the values for h and −h sum to exactly 1.

    Args:
        temperatures: shape (num_chains,), above 0 or infinite.

    Returns:
        float64, shape (num_chains, 5): h = −4, −2, 0, 2, 4.
    """
    two, four = torch.from_numpy(_quantise(temperatures).astype(np.float64) / 2.0**NUM_THRESHOLD_BITS)
    return torch.stack((four, two, torch.full_like(two, 0.5), 1 - two, 1 - four), dim=1)


def sample_chains(
    temperatures: torch.Tensor,
    *,
    size: int,
    num_updates: int,
    seed: int | Sequence[int],
    start: Literal["hot", "cold"] = "hot",
    chunk_size: int | None = None,
    advance: Callable[[int], None] | None = None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Returns one configuration from each of ``num_chains`` independent chains.

    Args:
        temperatures: of each chain, in units of J, shape (num_chains,), above 0 or infinite.
        size: linear size L > 2; with L = 2 a bond would count twice.
        num_updates: single-site updates of every chain; L² of them are one sweep.
        seed: entropy of a numpy ``SeedSequence``. Fewer updates with the same seed are the beginning of the same chain.
        start: ``hot``: every spin a fair bit, infinite temperature. ``cold``: every spin up.
        chunk_size: updates that are prepared together; changes no result.
        advance: told the number of updates whenever some more are done.
        device: where the spins are updated; None for the CPU, in numpy, which is several times faster there than torch.
            The random words are always drawn on the CPU, so the device changes no result.

    Returns:
        ±1 as int8, shape (num_chains, L, L), on the CPU.

    Raises:
        ValueError: a temperature is not positive, or L is below 3.
    """
    if size < 3 or not bool((temperatures > 0).all()):
        raise ValueError(f"expected L > 2 and temperatures above 0, found L = {size} and T = {temperatures}")
    num_chains = len(temperatures)
    num_words = -(-num_chains // WORD_BITS)
    stream = _WordStream(size, _pack_thresholds(temperatures, num_words), seed)
    drawn = stream.draw_spins()
    if start == "cold":
        drawn.fill(2**WORD_BITS - 1)
    spins = drawn if device is None else _to_device(drawn, device)
    chunk_size = chunk_size or max(1, _CHUNK_BYTES // (8 * max(num_words, 1) * (1 + NUM_COMMON_BITS)))
    for first in range(0, num_updates, chunk_size):
        chunk = stream.draw_chunk(min(chunk_size, num_updates - first))
        _update(spins, chunk if device is None else chunk.to(device))
        if advance is not None:
            advance(len(chunk.sites))
    packed = spins.cpu().numpy().view(np.uint64) if isinstance(spins, torch.Tensor) else spins
    return torch.from_numpy(_unpack(packed, num_words)[:num_chains].reshape(num_chains, size, size))


def _quantise(temperatures: torch.Tensor) -> np.ndarray:
    """Returns 2^k q for |h| = 2 and 4, rounded to uint64, shape (2, num_chains)."""
    fields = np.array([[2.0], [4.0]])
    probabilities = expit(-2 * fields / temperatures.to(torch.float64).cpu().numpy())
    return np.rint(probabilities * 2.0**NUM_THRESHOLD_BITS).astype(np.uint64)


def _pack_thresholds(temperatures: torch.Tensor, num_words: int) -> np.ndarray:
    """Returns m_1, …, m_k, shape (k, 2, num_words): the i-th binary digits b_i of every chain's two thresholds.

    The spare chains of the last word have temperature 0.
    """
    thresholds = _quantise(temperatures)
    digits = np.zeros((NUM_THRESHOLD_BITS, 2, num_words * WORD_BITS), dtype=np.uint8)
    for index in range(NUM_THRESHOLD_BITS):
        digits[index, :, : thresholds.shape[1]] = (thresholds >> np.uint64(NUM_THRESHOLD_BITS - 1 - index)) & np.uint64(
            1
        )
    return np.packbits(digits, axis=-1, bitorder="little").view("<u8").astype(np.uint64)


def _unpack(spins: np.ndarray, num_words: int) -> np.ndarray:
    """Returns ±1, int8 of shape (64 · num_words, L²), of the packed spins."""
    words = np.ascontiguousarray(spins.reshape(-1, num_words).T).astype("<u8")
    bits = np.unpackbits(words[:, :, None].view(np.uint8), axis=-1, bitorder="little")  # word, site, chain of the word
    chains = bits.transpose(0, 2, 1).reshape(num_words * WORD_BITS, words.shape[1])
    return chains.astype(np.int8) * np.int8(2) - np.int8(1)


def _select_digits(fair: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Returns each chain's digit at the first 0 of its fair bits r_1, …, r_n, and 0 where there is none.

    Backwards from z = m_n, z ← (z and r_i) xor (m_i xor m_{i−1}) for i = n, …, 1 with m_0 = 0: where r_i is 1 the
    outcome of the later digits stays, where it is 0 it becomes b_i. z carries the m of the step to come, so that a step
    costs two operations.

    Args:
        fair: shape (num_updates, n, num_words).
        masks: m_1, …, m_n, shape (n, 2, num_words).

    Returns:
        shape (2, num_updates, num_words).
    """
    changes = masks.copy()
    changes[1:] ^= masks[:-1]
    selected = np.repeat(masks[-1][:, None], len(fair), axis=1)
    for index in reversed(range(len(masks))):
        selected &= fair[:, index]
        selected ^= changes[index][:, None]
    return selected


def _to_device(words: np.ndarray, device: torch.device) -> torch.Tensor:
    """Returns words or positions as int64: torch's bitwise operations know no uint64, and the bits are the same."""
    return torch.from_numpy(words.view(np.int64)).to(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """What a number of consecutive updates needs, drawn beforehand. With n neighbours up the new spin is N_n."""

    #: Position of the updated site in the flat spins, shape (num_updates, num_words).
    sites: Any
    #: Positions of its neighbours, shape (num_updates, 4 · num_words).
    neighbours: Any
    #: N_0, and room for a word more, shape (num_updates, 2, num_words).
    lowest: Any
    #: D_1, D_2, D_2, D_1, where D_n = N_{n−1} xor N_n, shape (num_updates, 4, num_words).
    changes: Any

    def to(self, device: torch.device) -> "_Chunk":
        """Returns the same as tensors of torch on ``device``."""
        return _Chunk(
            sites=_to_device(self.sites, device),
            neighbours=_to_device(self.neighbours, device),
            lowest=_to_device(self.lowest, device),
            changes=_to_device(self.changes, device),
        )


class _WordStream:
    """The streams of random words, and what they mean."""

    def __init__(self, size: int, masks: np.ndarray, seed: int | Sequence[int]) -> None:
        self._num_sites = size * size
        self._masks = masks
        self._num_words = masks.shape[-1]
        self._common, self._rare = (np.random.SFC64(child) for child in np.random.SeedSequence(seed).spawn(2))
        self._offsets = np.arange(self._num_words)
        positions = np.arange(size * size).reshape(size, size) * self._num_words
        shifts = ((1, 0), (1, 1), (-1, 0), (-1, 1))
        self._tables = [np.roll(positions, shift, axis).ravel() for shift, axis in shifts]

    def draw_spins(self) -> np.ndarray:
        """Returns fair bits, shape (L² · num_words,), the words of a site side by side."""
        return _draw(self._common, self._num_sites * self._num_words)

    def draw_chunk(self, num_updates: int) -> _Chunk:
        """Draws what the next updates need."""
        drawn = _draw(self._common, num_updates, 1 + NUM_COMMON_BITS, self._num_words)
        sites = (((drawn[:, 0] >> np.uint64(32)) * np.uint64(self._num_sites)) >> np.uint64(32)).astype(np.intp)
        fair = drawn[:, 1:]
        two, four = self._draw_turned(fair)
        changes = np.empty((num_updates, 4, self._num_words), dtype=np.uint64)
        np.bitwise_xor(four, two, out=changes[:, 0])
        np.bitwise_xor(two, fair[:, 0], out=changes[:, 1])
        changes[:, 2:] = changes[:, 1::-1]
        neighbours = np.empty((num_updates, 4, self._num_words), dtype=np.intp)
        for direction, table in enumerate(self._tables):
            np.add(table[sites], self._offsets, out=neighbours[:, direction])
        return _Chunk(
            sites=sites * self._num_words + self._offsets,
            neighbours=neighbours.reshape(num_updates, 4 * self._num_words),
            lowest=np.stack((four, four), axis=1),
            changes=changes,
        )

    def _draw_turned(self, fair: np.ndarray) -> np.ndarray:
        """Returns where the spin is turned over for |h| = 2 and 4, shape (2, num_updates, num_words)."""
        turned = _select_digits(fair, self._masks[:NUM_COMMON_BITS])
        undecided = np.bitwise_and.reduce(fair, axis=1)
        updates, words = undecided.nonzero()
        rare = _draw(self._rare, len(updates), NUM_THRESHOLD_BITS - NUM_COMMON_BITS)
        digits = _select_digits(np.ascontiguousarray(rare.T)[None], self._masks[NUM_COMMON_BITS:, :, words])
        turned[:, updates, words] |= undecided[updates, words] & digits[:, 0]
        return turned


def _draw(stream: np.random.SFC64, *shape: int) -> np.ndarray:
    return stream.random_raw(math.prod(shape)).reshape(shape)


def _update(spins: Any, chunk: _Chunk) -> None:
    """Makes the updates of ``chunk``, one after the other, in place; arrays of numpy and tensors of torch alike.

    With n neighbours up and [·] the bit that says so, N_n = N_0 xor Σ_j [n ≥ j] D_j (sums modulo 2). N_3 = not N_1 and
    N_4 = not N_0, so D_3 = not D_2 and D_4 = D_1:

        N_n = N_0 xor [n ≥ 3] xor ([n ≥ 1] xor [n = 4]) D_1 xor ([n ≥ 2] xor [n ≥ 3]) D_2.

    The neighbours are sorted in pairs, then the lower and the upper of the pairs: the highest is [n ≥ 1], the lowest
    [n = 4], and the two between are [n ≥ 2] and [n ≥ 3] in either order, whose conjunction is [n ≥ 3].
    """
    width = chunk.sites.shape[1]
    library, empty, take = _operations_on(spins)
    around = empty(4 * width)
    first, second = around.reshape(2, 2, width)
    pairs = empty((2, 2, width))
    lower, upper, (one, other) = pairs[:, 0], pairs[:, 1], pairs
    ranks = empty((4, width))  # [n = 4], between, between, [n ≥ 1]
    both, either = ranks[:2], ranks[2:]
    row_0, row_1, row_2, _ = ranks
    new = empty(width)
    at_least_three = chunk.lowest[:, 1]
    updates = zip(chunk.sites, chunk.neighbours, chunk.lowest, at_least_three, chunk.changes, strict=True)
    for sites, neighbours, lowest, three, changes in updates:
        take(spins, neighbours, out=around)
        library.bitwise_and(first, second, out=lower)
        library.bitwise_or(first, second, out=upper)
        library.bitwise_and(one, other, out=both)
        library.bitwise_or(one, other, out=either)
        library.bitwise_and(row_1, row_2, out=three)
        library.bitwise_and(ranks, changes, out=ranks)
        library.bitwise_xor(both, either, out=both)
        library.bitwise_xor(both, lowest, out=both)
        library.bitwise_xor(row_0, row_1, out=new)
        spins[sites] = new


def _operations_on(spins: Any) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """Returns the library of bitwise operations, and its functions for an empty array of words and for taking some."""
    if isinstance(spins, torch.Tensor):
        return torch, spins.new_empty, torch.take
    # the mode that does not buffer; no position is out of range
    return np, functools.partial(np.empty, dtype=np.uint64), functools.partial(np.take, mode="clip")
