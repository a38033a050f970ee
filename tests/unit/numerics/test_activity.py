import math

import torch

from grokprobe.numerics.activity import compute_activity

UNITS = torch.tensor([[1.0, -1.0, 0.0, 2.0], [-1.0, -2.0, 0.0, 3.0], [-3.0, -0.5, -1.0, -1.0]])


def test_dead_units_and_active_pairs_are_counted():
    activity = compute_activity(UNITS)
    assert activity.dead_fraction == 2 / 4
    assert activity.active_fraction == 3 / 12


def test_a_unit_is_dead_only_if_it_is_in_every_part():
    first, second = compute_activity(UNITS[:1]), compute_activity(UNITS[1:])
    assert second.dead_fraction == 3 / 4
    merged = first.merged(second)
    assert (merged.dead_fraction, merged.active_fraction, merged.num_samples) == (2 / 4, 3 / 12, 3)


def test_nan_is_not_dead():
    units = UNITS.clone()
    units[2, 1] = math.nan
    activity = compute_activity(units[:2]).merged(compute_activity(units[2:]))
    assert activity.dead_fraction == 1 / 4
    assert math.isnan(activity.active_fraction)
