import pickle

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grokprobe.options import combine_options


class Own(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    scope: str = "layer"
    sizes: tuple[int, ...] = (1, 2)


class Core(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    stride: int = Field(default=1, ge=1)
    scope: str = "core"


def test_fields_of_all_parts_are_validated() -> None:
    combined = combine_options(Core, Own)
    assert combined().model_dump() == {"scope": "core", "sizes": (1, 2), "stride": 1}
    for wrong in ({"stride": 0}, {"stride": "2"}, {"strude": 1}):
        with pytest.raises(ValidationError):
            combined.model_validate(wrong)


def test_an_instance_survives_pickling() -> None:
    options = combine_options(Core, Own)(stride=3, sizes=(7,))
    again = pickle.loads(pickle.dumps(options))  # noqa: S301 - made here
    assert again == options
    assert type(again) is type(options)
    assert repr(again) == repr(options)  # it seeds generators
