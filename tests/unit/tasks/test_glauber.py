"""The sampler: against the same dynamics spin by spin, in equilibrium against exact values, and after a quench."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from grokprobe_tasks.ising.glauber import NUM_COMMON_BITS, NUM_THRESHOLD_BITS, compute_up_probabilities, sample_chains
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE, compute_energy, compute_magnetization
from reference import ising

FIELDS = (-4, -2, 0, 2, 4)


def sample(temperature, num_chains, **options):
    return sample_chains(torch.full((num_chains,), temperature, dtype=torch.float64), **options)


def up_probabilities(temperature):
    return compute_up_probabilities(torch.tensor([temperature], dtype=torch.float64))[0].numpy()


def z_score(values, expected):
    """Deviation of the mean of independent ``values``, in standard errors."""
    return float((values.mean() - expected) / (values.std() / math.sqrt(len(values))))


class Replay:
    """The dynamics of :func:`sample_chains` one spin at a time, from the same streams of words."""

    def __init__(self, temperatures, size, seed):
        self.common, self.rare = (np.random.SFC64(child) for child in np.random.SeedSequence(seed).spawn(2))
        self.up = compute_up_probabilities(torch.tensor(temperatures)).numpy()
        self.num_words = -(-len(temperatures) // 64)
        words = self.common.random_raw(size * size * self.num_words).reshape(size, size, self.num_words)
        bits = (words[..., None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        self.spins = np.moveaxis(bits.reshape(size, size, -1)[..., : len(temperatures)], -1, 0).astype(int) * 2 - 1

    def update(self):
        """Returns the field and the new spin of every chain."""
        num_sites = self.spins[0].size
        words = self.common.random_raw((1 + NUM_COMMON_BITS) * self.num_words).reshape(-1, self.num_words).tolist()
        fields, new = [], []
        for word in range(self.num_words):
            row, column = divmod((words[0][word] >> 32) * num_sites >> 32, self.spins.shape[-1])
            fair = [line[word] for line in words[1:]]
            if any(all(bits >> chain & 1 for bits in fair) for chain in range(64)):
                fair += self.rare.random_raw(NUM_THRESHOLD_BITS - NUM_COMMON_BITS).tolist()
            for chain, spins in enumerate(self.spins[64 * word : 64 * (word + 1)]):
                field = int(ising.field_at(spins, row, column))
                uniform = [bits >> chain & 1 for bits in fair]
                spins[row, column] = self.draw_spin(64 * word + chain, field, uniform)
                fields.append(field)
                new.append(spins[row, column])
        return fields, new

    def draw_spin(self, chain, field, uniform):
        if field == 0:
            return 2 * uniform[0] - 1
        turning = self.up[chain, FIELDS.index(-abs(field))]
        digits = f"{int(turning * 2**NUM_THRESHOLD_BITS):0{NUM_THRESHOLD_BITS}b}"
        turned = digits[uniform.index(0)] == "1" if 0 in uniform else False
        return (-1 if turned else 1) * (1 if field > 0 else -1)


@pytest.mark.parametrize(("size", "num_chains"), [(3, 1), (4, 100), (5, 64)])
def test_packed_updates_are_updates_one_by_one(size, num_chains):
    temperatures = np.geomspace(0.5, 50, num_chains)
    replay = Replay(temperatures, size, 7)
    for _ in range(300):
        replay.update()
    assert replay.rare.random_raw() != Replay(temperatures, size, 7).rare.random_raw()  # the rare bits were needed
    spins = sample_chains(torch.from_numpy(temperatures), size=size, num_updates=300, seed=7)
    assert np.array_equal(spins.numpy(), replay.spins)


def test_new_spins_are_as_often_up_as_they_should():
    num_chains = 64 * 200
    replay = Replay(np.full(num_chains, 2.5), 4, 1)
    fields, new = map(np.array, replay.update())
    assert np.array_equal(replay.spins, sample(2.5, num_chains, size=4, num_updates=1, seed=1).numpy())
    for field in FIELDS:
        up, probability = new[fields == field] > 0, 1 / (1 + math.exp(-2 * field / 2.5))
        assert abs(up.mean() - probability) < 4 * math.sqrt(probability * (1 - probability) / len(up))


@pytest.mark.parametrize("temperature", [0.01, 0.5, 2.0, CRITICAL_TEMPERATURE, 2.6, 50.0, math.inf])
def test_up_probabilities(temperature):
    up = up_probabilities(temperature)
    assert np.array_equal(up + up[::-1], np.ones(5))  # a flip of every spin changes nothing
    assert np.abs(up - expit(2 * np.array(FIELDS) / temperature)).max() <= 2.0 ** -(NUM_THRESHOLD_BITS + 1)
    assert all(float(probability * 2**NUM_THRESHOLD_BITS).is_integer() for probability in up)


@pytest.mark.parametrize("temperature", [0.5, 2.0, CRITICAL_TEMPERATURE, 2.6, 10.0])
def test_boltzmann_weights_are_invariant(temperature):
    weights = ising.boltzmann_weights(temperature, 4)
    after = ising.apply_random_site_update(weights, up_probabilities(temperature), 4)
    assert after.sum() == pytest.approx(1, abs=1e-12)
    assert abs(after - weights).max() < 1e-12


@pytest.mark.parametrize("temperature", [0.5, 2.0, CRITICAL_TEMPERATURE, 2.6, 10.0])
def test_detailed_balance(temperature):
    weights, configurations = ising.boltzmann_weights(temperature, 4), ising.all_configurations(4)
    for site in range(16):
        up = up_probabilities(temperature)[(ising.field_at(configurations, *divmod(site, 4)) + 4) // 2]
        is_up = configurations.reshape(-1, 16)[:, site] > 0
        flow = weights * np.where(is_up, 1 - up, up)
        assert abs(flow - flow[np.arange(len(flow)) ^ (1 << site)]).max() < 1e-12


def test_other_weights_are_not_invariant():
    weights = ising.boltzmann_weights(2.0, 4)
    after = ising.apply_random_site_update(weights, up_probabilities(2.001), 4)
    assert abs(after - weights).max() > 1e-6


@pytest.fixture(scope="module")
def equilibrium():
    """Energies and magnetizations per site of 1024 chains at L = 16, T = 2.0 and 2.6, after 1000 sweeps."""
    temperatures = torch.tensor([2.0, 2.6], dtype=torch.float64).repeat_interleave(1024)
    spins = sample_chains(temperatures, size=16, num_updates=1000 * 16**2, seed=0)
    energy, magnetization = compute_energy(spins) / 256, compute_magnetization(spins) / 256
    return {2.0: (energy[:1024], magnetization[:1024]), 2.6: (energy[1024:], magnetization[1024:])}


@pytest.mark.parametrize("temperature", [2.0, 2.6])
def test_energy_in_equilibrium(equilibrium, temperature):
    energy = equilibrium[temperature][0]
    assert abs(z_score(energy, ising.exact_energy(temperature, 16))) < 4


@pytest.mark.parametrize("temperature", [2.0, 2.6])
def test_energy_fluctuates_as_the_specific_heat_says(equilibrium, temperature):
    energy = equilibrium[temperature][0]
    squares = (energy - energy.mean()) ** 2
    variance = ising.exact_specific_heat(temperature, 16) * temperature**2 / 256
    assert abs(z_score(squares, variance)) < 4


@pytest.mark.parametrize("temperature", [2.0, 2.6])
def test_up_and_down_are_alike(equilibrium, temperature):
    magnetization = equilibrium[temperature][1]
    assert abs(z_score(magnetization, 0.0)) < 4
    assert abs(z_score(magnetization**3, 0.0)) < 4


def test_hot_and_cold_starts_agree_at_the_critical_temperature():
    exact = ising.exact_energy(CRITICAL_TEMPERATURE, 4)
    for start in ("hot", "cold"):
        spins = sample(CRITICAL_TEMPERATURE, 4096, size=4, num_updates=500 * 16, seed=3, start=start)
        assert abs(z_score(compute_energy(spins) / 16, exact)) < 4


def test_chain_is_a_chain_one_by_one():
    generator = np.random.default_rng(0)
    slow = torch.tensor(np.array([ising.run_chain(2.0, 4, 40, generator) for _ in range(750)]))
    fast = sample(2.0, 15_000, size=4, num_updates=40, seed=4)
    energy = compute_energy(fast)
    difference = compute_energy(slow).mean() - energy.mean()
    assert abs(difference) < 4 * energy.std() * math.sqrt(1 / 750 + 1 / 15_000)


def test_chains_of_a_word_are_independent():
    spins = sample(2.0, 64 * 400, size=4, num_updates=160, seed=5)
    magnetization = compute_magnetization(spins).reshape(400, 64)
    sums = magnetization.sum(dim=1) ** 2 / 64  # of independent chains as large as one chain's square
    assert abs(z_score(sums, float((magnetization**2).mean()))) < 4


@pytest.mark.parametrize(("num_sweeps", "share"), [(10, 0.89), (30, 0.60), (100, 0.18)])
def test_domains_left_by_a_quench(num_sweeps, share):
    spins = sample(2.0, 2000, size=16, num_updates=num_sweeps * 256, seed=6)
    found = float((compute_magnetization(spins).abs() < 128).double().mean())
    rounding = 0.005  # of the shares measured by hand
    assert abs(found - share) < rounding + 4 * math.sqrt(share * (1 - share) / 2000)


def test_cold_limit():
    assert bool((sample(0.01, 70, size=4, num_updates=500, seed=0, start="cold") == 1).all())
    lengths = (0, 50, 200, 1000, 4000)
    quenches = [compute_energy(sample(0.01, 200, size=8, num_updates=number, seed=0)) for number in lengths]
    for before, after in itertools.pairwise(quenches):
        assert bool((after <= before).all())
        assert float(after.mean()) < float(before.mean())
    assert float(quenches[-1].median()) == -2 * 64


@pytest.mark.parametrize("temperature", [50.0, math.inf])
def test_hot_limit(temperature):
    energy = compute_energy(sample(temperature, 4096, size=4, num_updates=30 * 16, seed=1, start="cold")) / 16
    assert abs(z_score(energy, ising.exact_energy(temperature, 4) if temperature < math.inf else 0.0)) < 4
    assert ising.exact_energy(50.0, 4) == pytest.approx(-2 / 50, rel=2e-3)


@pytest.mark.parametrize("num_chains", [1, 64, 150])
def test_chunks_change_nothing(num_chains):
    temperatures = torch.linspace(1.0, 4.0, num_chains, dtype=torch.float64)
    told = []
    whole = sample_chains(temperatures, size=4, num_updates=500, seed=(1, 2), advance=told.append)
    assert sum(told) == 500
    assert whole.dtype == torch.int8
    assert whole.shape == (num_chains, 4, 4)
    assert bool((whole.abs() == 1).all())
    for chunk_size in (1, 7, 499, 1000):
        assert torch.equal(
            whole, sample_chains(temperatures, size=4, num_updates=500, seed=(1, 2), chunk_size=chunk_size)
        )


def test_seeds_differ():
    spins = [sample(math.inf, 64, size=4, num_updates=100, seed=seed).double() for seed in (0, 1, (0, 1))]
    for one, other in itertools.combinations(spins, 2):
        assert abs(z_score((one * other).flatten(), 0.0)) < 4


def test_same_spins_for_ever():
    """Cached snapshots stay valid; other numbers need another kernel version."""
    spins = sample_chains(torch.tensor([1.0, 2.0, 4.0]), size=4, num_updates=100, seed=0)
    numbers = ((spins > 0).flatten(start_dim=1) * 2 ** torch.arange(16)).sum(dim=1)
    assert numbers.tolist() == [0, 68, 3315]


def test_what_cannot_be_simulated():
    for temperature, size in ((0.0, 4), (-1.0, 4), (math.nan, 4), (2.0, 2)):
        with pytest.raises(ValueError, match="expected L > 2 and temperatures above 0"):
            sample(temperature, 1, size=size, num_updates=1, seed=0)


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")),
    ],
)
@pytest.mark.parametrize("start", ["hot", "cold"])
def test_tensors_on_a_device_give_the_same_spins(device, start):
    temperatures = torch.linspace(0.5, 4.0, 130, dtype=torch.float64)
    options = {"size": 5, "num_updates": 400, "seed": 3, "start": start}
    here = sample_chains(temperatures, **options)
    there = sample_chains(temperatures, **options, chunk_size=37, device=torch.device(device))
    assert there.equal(here)
    assert not here.equal(sample_chains(temperatures, **(options | {"num_updates": 0})))
