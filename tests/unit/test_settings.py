import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from grokprobe.errors import UsageError
from grokprobe.settings import meets, parse_assignment, parse_conditions, parse_epochs, parse_settings, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("23", 23), ("1e-2", 0.01), ("true", True), ("True", "True"), ('"23"', "23"), ("[1, 2]", [1, 2]),
        ("seed:3", "seed:3"), ("mlp.W_in", "mlp.W_in"), ("", ""), ("fft", "fft"),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize("text", ["task.p", "p=23", "=23", ".p=23", "task.=23", "task.map.=x", ""])
def test_assignments_without_table_key_or_value_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected TABLE\.KEY=VALUE"):
        parse_assignment(text)


def test_assignments_gather_in_tables() -> None:
    settings = parse_settings(["task.p=23", "task.map.input.weight=net.0.weight", "fourier@fft.basis=fft", "task.p=5"])
    assert settings == {
        "task": {"p": 5, "map": {"input.weight": "net.0.weight"}},
        "fourier@fft": {"basis": "fft"},
    }


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_settings(["run.state_dict=a=b"]) == {"run": {"state_dict": "a=b"}}


def test_a_key_that_is_value_and_table_at_once_is_refused() -> None:
    with pytest.raises(UsageError, match="fourier"):
        parse_settings(["fourier.axes=1", "fourier.axes.weight=0"])


def test_conditions() -> None:
    allowed = parse_conditions(["init_scale=1,10", "task=modular_addition"])
    assert meets(allowed, {"init_scale": 10.0, "task": "modular_addition", "seed": 3})
    assert not meets(allowed, {"init_scale": 2.0, "task": "modular_addition"})
    assert not meets(allowed, {"init_scale": 1.0})
    assert meets({}, {})


@pytest.mark.parametrize("text", ["seed", "=3", "seed="])
def test_conditions_without_key_or_value_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        parse_conditions([text])


def test_epochs() -> None:
    assert all(map(parse_epochs(None), range(10)))
    wanted = parse_epochs("0, 10-12,20-")
    assert [epoch for epoch in range(25) if wanted(epoch)] == [0, 10, 11, 12, 20, 21, 22, 23, 24]


@pytest.mark.parametrize("text", ["", "a", "-3", "1-a", "1,,2", "1.5", "1-2-3", "²"])
def test_epochs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--epochs"):
        parse_epochs(text)


@hypothesis_settings(deadline=None, max_examples=100)
@given(ranges=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=4))
def test_epochs_are_the_union_of_their_ranges(ranges: list[tuple[int, int]]) -> None:
    wanted = parse_epochs(",".join(f"{low}-{high}" for low, high in ranges))
    expected = {epoch for low, high in ranges for epoch in range(low, high + 1)}
    assert {epoch for epoch in range(40) if wanted(epoch)} == expected
