"""Laws of the grokking times, against loops."""

import math

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from grokprobe.derive import compute_arrival, summarise

ACCURACIES = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=30)
CHANCES = st.sampled_from([0.0, 0.01, 0.1, 0.5])
LAW = settings(deadline=None, max_examples=80)
FEW = settings(deadline=None, max_examples=20)


def arrival_by_loop(epochs: list[int], accuracies: list[float], chance: float) -> float:
    """Definition 1, one epoch after the other."""
    highest = -math.inf
    for accuracy in accuracies:
        if not math.isnan(accuracy) and accuracy > highest:
            highest = accuracy
    if highest < chance + 0.5 * (1 - chance):
        return math.nan
    for epoch, accuracy in zip(epochs, accuracies, strict=True):
        if accuracy >= 0.95 * highest:
            return float(epoch)
    raise AssertionError("the maximum itself is within 5 % of the maximum")


def spread(accuracies: list[float], step: int) -> list[int]:
    return [3 + step * i for i in range(len(accuracies))]


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES, step=st.integers(1, 10))
def test_arrival_is_what_a_loop_finds(accuracies: list[float], chance: float, step: int) -> None:
    epochs = spread(accuracies, step)
    found = compute_arrival(np.array(epochs), np.array(accuracies), chance)
    np.testing.assert_equal(found, arrival_by_loop(epochs, accuracies, chance))
    assert math.isnan(found) or found >= epochs[0]


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES, later=st.lists(st.floats(0, 1), max_size=10))
def test_epochs_after_the_arrival_that_reach_no_higher_change_nothing(
    accuracies: list[float], chance: float, later: list[float]
) -> None:
    before = compute_arrival(np.arange(len(accuracies)), np.array(accuracies), chance)
    known = [accuracy for accuracy in accuracies if not math.isnan(accuracy)]
    longer = accuracies + [min(accuracy, max(known, default=0.0)) for accuracy in later]
    np.testing.assert_equal(compute_arrival(np.arange(len(longer)), np.array(longer), chance), before)


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES)
def test_epochs_that_are_undefined_change_nothing(accuracies: list[float], chance: float) -> None:
    epochs = list(range(len(accuracies)))
    known = [(epoch, accuracy) for epoch, accuracy in zip(epochs, accuracies, strict=True) if not math.isnan(accuracy)]
    found = compute_arrival(np.array(epochs), np.array(accuracies), chance)
    alone = compute_arrival(np.array([e for e, _ in known], int), np.array([a for _, a in known], float), chance)
    np.testing.assert_equal(found, alone)


@st.composite
def histories(draw: st.DrawFn) -> xr.Dataset:
    num_seeds, num_epochs = draw(st.integers(1, 2)), draw(st.integers(1, 8))
    size = num_seeds * 2 * num_epochs
    names = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
    values = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=size, max_size=size)
    return xr.Dataset(
        {
            name: (("seed", "init_scale", "epoch"), np.reshape(draw(values), (num_seeds, 2, num_epochs)))
            for name in names
        },
        coords={"seed": range(num_seeds), "init_scale": [1.0, 3.0], "epoch": 5 * np.arange(num_epochs)},
    )


@FEW
@given(history=histories(), order=st.randoms(use_true_random=False))
def test_the_order_of_epochs_does_not_matter(history: xr.Dataset, order: object) -> None:
    positions = list(range(history.sizes["epoch"]))
    order.shuffle(positions)  # type: ignore[attr-defined]
    xr.testing.assert_identical(summarise(history, 0.1), summarise(history.isel(epoch=positions), 0.1))


@FEW
@given(history=histories())
def test_the_variables_of_a_summary_agree_with_each_other(history: xr.Dataset) -> None:
    summary = summarise(history, 0.1)
    for seed in range(history.sizes["seed"]):
        for scale in range(2):
            run = {str(name): v.isel(seed=seed, init_scale=scale).item() for name, v in summary.data_vars.items()}
            curves = history.isel(seed=seed, init_scale=scale)
            epochs = curves.epoch.to_numpy().tolist()
            train = arrival_by_loop(epochs, curves.train_accuracy.to_numpy().tolist(), 0.1)
            test = arrival_by_loop(epochs, curves.test_accuracy.to_numpy().tolist(), 0.1)
            expected = {
                "train_epoch": train, "test_epoch": test, "grokking_time": test - train,
                "groks_margin": test - train - train,
                "groks": math.nan if math.isnan(test - train) else float(test - train > train),
            }  # fmt: skip
            np.testing.assert_equal({name: run[name] for name in expected}, expected)
            for name, curve in curves.data_vars.items():
                known = [value for value in curve.to_numpy().tolist() if not math.isnan(value)]
                np.testing.assert_equal(run[f"final_{name}"], known[-1] if known else math.nan)
