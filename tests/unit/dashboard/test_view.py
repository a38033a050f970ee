"""A view is in the address and comes back from there."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from grokprobe.dashboard.opened import OpenedStore
from grokprobe.dashboard.view import View, parse_view

FIRST = View(experiment="made", a=(0, 1.0), b=(0, 10.0), epoch=195, figure="training")


def test_first_view_compares_the_smallest_with_the_largest_scale(store: OpenedStore) -> None:
    assert parse_view({}, store) == (FIRST, ())


@pytest.mark.parametrize(
    "view",
    [
        FIRST,
        replace(FIRST, a=(1, 10.0), b=(1, 10.0), epoch=35, is_matched=True),
        replace(FIRST, figure="probes/strange/height", shows_all=True),
    ],
)
def test_address_gives_the_view_back(store: OpenedStore, view: View) -> None:
    assert parse_view(dict(parse_qsl(view.to_query())), store) == (view, ())


@pytest.mark.parametrize(
    ("query", "shown", "fault"),
    [
        ({"experiment": "other"}, FIRST, "experiment=other is not in this store"),
        ({"seed": "7"}, FIRST, "seed=7 is not in this experiment"),
        ({"init_scale": "<b>"}, FIRST, "init_scale=<b> is not in this experiment"),
        ({"figure": "nonsense"}, FIRST, "figure=nonsense is not among those of this store"),
        ({"epoch": "37"}, replace(FIRST, epoch=35), "nothing was measured at epoch=37; 35 is shown"),
        ({"epoch": "-3"}, FIRST, "nothing was measured at epoch=-3; 195 is shown"),
        ({"epoch": "nan"}, FIRST, "nothing was measured at epoch=nan; 195 is shown"),
    ],
)
def test_what_the_store_lacks_is_said(store: OpenedStore, query: dict[str, str], shown: View, fault: str) -> None:
    assert parse_view(query, store) == (shown, (fault,))


def test_equal_numbers_are_equal_however_they_are_written(store: OpenedStore) -> None:
    view, faults = parse_view({"init_scale": "10", "other_init_scale": "1e0", "epoch": "35.0"}, store)
    assert (view.a, view.b, view.epoch, faults) == ((0, 10.0), (0, 1.0), 35, ())
