"""What a side of a comparison stands for."""

from pathlib import Path

import pytest

from grokprobe.comparison import Side, parse_side
from grokprobe.errors import UsageError


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("r.zarr", Side(store="r.zarr")),
        ("r.zarr::made", Side(store="r.zarr", experiment="made")),
        ("::seed=0-2,7", Side(store="other.zarr", seeds=(0, 1, 2, 7))),
        ("r.zarr::init_scale=0.1,10::made", Side(store="r.zarr", experiment="made", init_scales=(0.1, 10.0))),
        ("s3://bucket/r.zarr::seed=1", Side(store="s3://bucket/r.zarr", seeds=(1,))),
    ],
)
def test_form(text: str, side: Side) -> None:
    assert parse_side(text, "other.zarr") == side
    assert parse_side(str(side), "other.zarr") == side


def test_a_path_that_is_there_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "strange::seed=1"
    path.mkdir()
    assert parse_side(str(path)) == Side(store=str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("::seed=1", "names no store"),
        ("r.zarr::a::b", "cannot be read; expected STORE"),
        ("r.zarr::epoch=3", "cannot be read; expected STORE"),
        ("r.zarr::seed=1::seed=2", "cannot be read; expected STORE"),
        ("r.zarr::seed=x", "expected seeds such as"),
        ("r.zarr::init_scale=x", "'x'"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_side(text)
