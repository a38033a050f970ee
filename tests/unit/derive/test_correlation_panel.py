import math

import numpy as np
import pytest
import xarray as xr

from grokprobe.derive.correlation_panel import PANEL_SPECS, correlate_runs
from grokprobe.errors import UsageError

NAN = math.nan
RUNS = {"seed": range(4), "init_scale": [1.0, 10.0]}


def runs(values: object) -> xr.DataArray:
    return xr.DataArray(np.reshape(np.asarray(values, dtype=float), (4, 2)), coords=RUNS)


TARGET = runs([3.0, 1.0, 2.0, 8.0, 5.0, 13.0, 4.0, 9.0])


def panel_of(other: xr.DataArray, chosen: xr.DataArray | None = None) -> dict[str, float]:
    found = correlate_runs(TARGET, xr.Dataset({"other": other}), chosen).sel(variable="other")
    return {str(name): variable.item() for name, variable in found.data_vars.items()}


def test_lines_and_monotone_curves() -> None:
    falling, cube = panel_of(7 - 2 * TARGET), panel_of(TARGET**3)
    assert (falling["num_runs"], falling["pearson"], falling["spearman"]) == (8, pytest.approx(-1), pytest.approx(-1))
    assert falling["pearson_p"] < 1e-9
    assert cube["spearman"] == pytest.approx(1)
    assert 0.8 < cube["pearson"] < 1


def test_agrees_with_the_definition() -> None:
    other = runs(np.random.default_rng(0).random(8))
    x, y = TARGET.to_numpy().ravel(), other.to_numpy().ravel()
    found = panel_of(other)
    assert found["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    ranks = [np.argsort(np.argsort(values)) for values in (x, y)]
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert 0.01 < found["pearson_p"] < 1


def test_p_values_of_unrelated_numbers_are_uniform() -> None:
    generator = np.random.default_rng(0)
    coordinates = {"seed": range(10)}
    target = xr.DataArray(generator.normal(size=10), coords=coordinates)
    others = {f"x{place}": xr.DataArray(generator.normal(size=10), coords=coordinates) for place in range(200)}
    found = correlate_runs(target, xr.Dataset(others))
    for name in ("pearson_p", "spearman_p"):
        assert abs(float((found[name] < 0.25).mean()) - 0.25) < 0.12  # four standard deviations


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    gaps = runs([0, 1, 2, 3, 4, 5, NAN, math.inf])
    assert panel_of(gaps)["num_runs"] == 6
    assert panel_of(gaps)["pearson"] == pytest.approx(np.corrcoef([3, 1, 2, 8, 5, 13], range(6))[0, 1])


@pytest.mark.parametrize("other", [runs(np.full(8, 2.0)), runs([1, 2, *[NAN] * 6]), runs(np.full(8, NAN))])
def test_no_correlation_with_a_constant_or_of_two_runs(other: xr.DataArray) -> None:
    found = panel_of(other)
    assert math.isnan(found["pearson"])
    assert math.isnan(found["spearman_p"])


def test_chosen_runs_alone() -> None:
    chosen = TARGET.init_scale == 1
    found = panel_of(runs(range(8)), chosen)
    assert found["num_runs"] == 4
    assert found["pearson"] == pytest.approx(np.corrcoef([3, 2, 5, 4], [0, 2, 4, 6])[0, 1])


def test_runs_are_matched_by_their_coordinates() -> None:
    others = xr.Dataset({"same": TARGET}).isel(seed=[3, 1, 0, 2]).transpose("init_scale", "seed")
    found = correlate_runs(TARGET, others)
    assert found.pearson.item() == pytest.approx(1)
    assert found["variable"].to_numpy().tolist() == ["same"]
    assert {spec.name for spec in PANEL_SPECS} == set(found.data_vars)


def test_other_dimensions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"found norm over .*layer"):
        correlate_runs(TARGET, xr.Dataset({"norm": TARGET.expand_dims(layer=["a"])}))
