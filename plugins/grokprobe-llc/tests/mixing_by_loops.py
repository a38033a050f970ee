"""Split-R̂ and effective sample size by loops over the definitions."""

import math
import statistics


def split(chains):
    half = len(chains[0]) // 2
    return [chain[:half] for chain in chains] + [chain[-half:] for chain in chains]


def pooled_variance(halves):
    """V = (N − 1) W / N + B / N."""
    num_draws = len(halves[0])
    within = statistics.mean(statistics.variance(half) for half in halves)
    return within * (num_draws - 1) / num_draws + statistics.variance([statistics.mean(half) for half in halves])


def r_hat(chains):
    halves = split(chains)
    return math.sqrt(pooled_variance(halves) / statistics.mean(statistics.variance(half) for half in halves))


def autocovariance(chain, lag):
    """Σ_i (x_i − x̄)(x_i+lag − x̄) / (N − 1)."""
    mean = statistics.mean(chain)
    products = [(chain[i] - mean) * (chain[i + lag] - mean) for i in range(len(chain) - lag)]
    return sum(products) / (len(chain) - 1)


def effective_sample_size(chains):
    halves = split(chains)
    num_draws = len(halves[0])
    within = statistics.mean(statistics.variance(half) for half in halves)
    total = pooled_variance(halves)

    def correlation(lag):
        return 1 - (within - statistics.mean(autocovariance(half, lag) for half in halves)) / total

    pairs = []
    for k in range(num_draws // 2):
        pair = correlation(2 * k) + correlation(2 * k + 1)
        if pair <= 0:
            break
        pairs.append(min([pair, *pairs]))
    num_all = len(halves) * num_draws
    return num_all / max(-1 + 2 * sum(pairs), 1 / math.log10(num_all))
