import math

import numpy as np
import pytest
import xarray as xr

from grokprobe.derive.seeds import STATISTICS, compute_seed_statistics

NAN = math.nan


def statistics_of(values: list[float], **given: int) -> dict[str, float]:
    dataset = xr.Dataset({"x": ("seed", values)}, coords={"seed": range(len(values))})
    found = compute_seed_statistics(dataset, **given)
    assert found.x.dims == ("statistic",)
    row = dict(zip(found.statistic.to_numpy().tolist(), found.x.to_numpy().tolist(), strict=True))
    return row | {"num_seeds": found.x_num_seeds.item()}


def test_known_numbers() -> None:
    found = statistics_of([4.0, 1.0, 2.0, 3.0])
    assert (found["median"], found["mean"], found["num_seeds"]) == (2.5, 2.5, 4)
    assert found["percentile_16"] == pytest.approx(1.48)  # at 0.16 · 3 between the order statistics
    assert found["percentile_84"] == pytest.approx(3.52)
    assert found["standard_error"] == pytest.approx(math.sqrt(5 / 3) / 2)
    assert 1 <= found["median_bootstrap_16"] < 2.5 < found["median_bootstrap_84"] <= 4


def test_the_bootstrap_agrees_with_all_samples_there_are() -> None:
    values = np.array([1.0, 2.0, 4.0])
    samples = np.array(np.meshgrid(values, values, values)).reshape(3, -1)
    exact = np.percentile(np.median(samples, axis=0), [16, 84])
    found = statistics_of(values.tolist(), num_resamples=4000)
    assert [found["median_bootstrap_16"], found["median_bootstrap_84"]] == exact.tolist()


def test_undefined_seeds_are_left_out_and_counted() -> None:
    known, with_gaps = statistics_of([1.0, 2.0, 6.0]), statistics_of([1.0, NAN, 2.0, 6.0, NAN])
    assert with_gaps == known
    assert with_gaps["num_seeds"] == 3


def test_too_few_seeds() -> None:
    one = statistics_of([3.0, NAN])
    assert {name for name in STATISTICS if not math.isnan(one[name])} == {
        "median", "percentile_16", "percentile_84", "mean"
    }  # fmt: skip
    assert one["median"] == 3
    none = statistics_of([NAN])
    assert none["num_seeds"] == 0
    assert all(math.isnan(none[name]) for name in STATISTICS)


def test_other_dimensions_stay_and_other_variables_go() -> None:
    generator = np.random.default_rng(0)
    dataset = xr.Dataset(
        {
            "ipr": (("seed", "init_scale", "layer"), generator.random((5, 2, 3)), {"units": "1", "description": "IPR"}),
            "label": ("seed", list("abcde")),
            "scale": ("init_scale", [1.0, 2.0]),
        },
        coords={"seed": range(5), "init_scale": [1.0, 10.0], "layer": ["x", "y", "z"]},
    )
    found = compute_seed_statistics(dataset)
    assert set(found.data_vars) == {"ipr", "ipr_num_seeds"}
    assert found.ipr.sizes == {"init_scale": 2, "layer": 3, "statistic": len(STATISTICS)}
    assert found.ipr.attrs == {"units": "1", "description": "IPR"}
    np.testing.assert_allclose(found.ipr.sel(statistic="median"), np.median(dataset.ipr, axis=0))
    one = compute_seed_statistics(dataset.isel(init_scale=[1], layer=[2]))
    np.testing.assert_array_equal(one.ipr.squeeze(), found.ipr.isel(init_scale=1, layer=2))


def test_the_share_of_seeds_that_grok() -> None:
    found = statistics_of([1.0, 0.0, 1.0, 1.0])
    assert found["mean"] == 0.75


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(9).tolist()
    assert statistics_of(values) == statistics_of(values)
    assert statistics_of(values, num_resamples=10, seed=1) != statistics_of(values, num_resamples=10)
