import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokprobe.errors import VariableError
from grokprobe.variables import BOUND_TOLERANCE, Coordinate, Measurement, VariableSpec, check_measurement

SHARE = VariableSpec(name="share", dims=("neuron",), bounds=(0.0, 1.0), description="A share.", reference="grokprobe")
COUNT = VariableSpec(name="count", dtype="int64", bounds=(0, None), description="A count.", reference="grokprobe")
NEURONS = Coordinate(dim="neuron", values=np.arange(3))


def check(spec: VariableSpec, values: object, **sizes: int) -> np.ndarray:
    return spec.checked(np.asarray(values), sizes)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (0.5, r"\(\)"),  # too few dimensions
        ([[0.5, 0.5, 0.5]], r"\(1, 3\)"),  # too many
        ([0.5, 0.5], r"\(2,\)"),  # too short
        ([], r"\(0,\)"),
    ],
)
def test_wrong_shapes_raise_with_name_and_both_shapes(values: object, found: str) -> None:
    with pytest.raises(VariableError, match=rf"'share'.*\(neuron: 3\).*found shape {found}"):
        check(SHARE, values, neuron=3)


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        (SHARE, np.array([0.5 + 0j, 0.5, 0.5])),
        (SHARE, np.array(["a", "b", "c"])),
        (SHARE, np.array([None, 0.5, 0.5], dtype=object)),
        (COUNT, np.array(1.0)),
        (COUNT, np.array(math.nan)),
    ],
)
def test_types_that_lose_information_raise(spec: VariableSpec, values: np.ndarray) -> None:
    with pytest.raises(VariableError, match=rf"'{spec.name}'.*expected {spec.dtype}, found"):
        check(spec, values, neuron=3)


@pytest.mark.parametrize("values", [[1.5, 0.5, 0.5], [0.5, -0.25, 0.5], [0.5, 0.5, 1 + 1e-11], [0.5, math.inf, 0.5]])
def test_values_outside_the_bounds_raise_and_say_where(values: list[float]) -> None:
    position = next(i for i, value in enumerate(values) if not 0 <= value <= 1)
    with pytest.raises(VariableError, match=rf"'share'.*\[0, 1\].*at \[{position}\] \(1 in all\)"):
        check(SHARE, values, neuron=3)


def test_a_scalar_outside_its_bounds_raises() -> None:
    with pytest.raises(VariableError, match="'count'"):
        check(COUNT, np.array(-1))


def test_integers_beyond_the_stored_type_raise() -> None:
    unbounded = VariableSpec(name="count", dtype="int64", description="A count.", reference="grokprobe")
    with pytest.raises(VariableError, match="'count'"):
        check(unbounded, np.array(2**63, dtype=np.uint64))


def test_rounding_is_clipped_and_nothing_else_changes() -> None:
    found = check(SHARE, [1 + 0.9 * BOUND_TOLERANCE, -0.9 * BOUND_TOLERANCE, 0.25], neuron=3)
    assert found.tolist() == [1.0, 0.0, 0.25]


def test_nan_passes_bounds() -> None:
    found = check(SHARE, [math.nan, 0.0, 1.0], neuron=3)
    np.testing.assert_array_equal(found, [math.nan, 0.0, 1.0])


@pytest.mark.parametrize(("dtype", "given_dtype"), [("float64", "float32"), ("float64", "int32"), ("int64", "uint8")])
def test_stored_type(dtype: str, given_dtype: str) -> None:
    spec = VariableSpec(name="x", dtype=dtype, description="x", reference="x")  # type: ignore[arg-type]
    found = check(spec, np.array(3, dtype=given_dtype))
    assert found.dtype == dtype
    assert found == 3


@settings(deadline=None, max_examples=100)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_values_within_the_bounds_are_kept_bit_for_bit(values: list[float]) -> None:
    assert check(SHARE, values, neuron=len(values)).tobytes() == np.array(values).tobytes()


def measurement(**values: object) -> Measurement:
    return Measurement(
        values={name: np.asarray(value) for name, value in values.items()}, coordinates={"neuron": NEURONS}
    )


def test_checked_values_come_in_the_order_of_the_specifications() -> None:
    found = check_measurement((SHARE, COUNT), measurement(count=2, share=[0.0, 0.5, 1.0]))
    assert list(found) == ["share", "count"]


def test_missing_and_unknown_variables_are_named() -> None:
    with pytest.raises(VariableError, match=r"missing \['count'\], unknown \['cuont'\]"):
        check_measurement((SHARE, COUNT), measurement(cuont=2, share=[0.0, 0.5, 1.0]))
    with pytest.raises(VariableError, match=r"missing \['count'\], unknown \[\]"):
        check_measurement((SHARE, COUNT), measurement(share=[0.0, 0.5, 1.0]))


def test_a_dimension_needs_a_coordinate() -> None:
    bare = Measurement(values={"share": np.zeros(3)}, coordinates={})
    with pytest.raises(VariableError, match=r"\['neuron'\] have no coordinate"):
        check_measurement((SHARE,), bare)


def test_coordinates_of_one_dimension_agree_in_length() -> None:
    coordinates = {"neuron": NEURONS, "neuron_layer": Coordinate(dim="neuron", values=np.array(["a", "b"]))}
    with pytest.raises(VariableError, match=r"'neuron_layer'.*expected 3 labels along 'neuron', found 2"):
        check_measurement((SHARE,), Measurement(values={"share": np.zeros(3)}, coordinates=coordinates))


def test_attributes_say_what_the_specification_says() -> None:
    assert SHARE.attributes() == {
        "units": "1", "long_name": "share", "description": "A share.", "reference": "grokprobe",
        "valid_min": 0.0, "valid_max": 1.0,
    }  # fmt: skip
    assert "valid_max" not in COUNT.attributes()
    headline = VariableSpec(name="a_b", description="x", reference="x", headline=True)
    assert headline.attributes()["headline"] == 1
    assert headline.attributes()["long_name"] == "a b"
