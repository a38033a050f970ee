"""Options of a measure together with those of what the core does with it."""

import functools
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, create_model


class CombinedOptions(BaseModel):
    """Base of every combination; its instances can be pickled although their class stands in no module."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def __reduce__(self) -> Any:
        """Pickles the parts and the values."""
        return _restore, (type(self).__bases__[1:], self.model_dump())


@functools.cache
def combine_options(*parts: type[BaseModel]) -> type[CombinedOptions]:
    """Returns a strict model with the fields of all ``parts``; of two fields with one name the first part's counts.

    Example:
        >>> class Own(BaseModel):
        ...     scope: str = "layer"
        >>> class Core(BaseModel):
        ...     by_layer: bool = False
        >>> assert combine_options(Core, Own)(by_layer=True).model_dump() == {"scope": "layer", "by_layer": True}
    """
    name = "And".join(part.__name__ for part in parts)
    return cast("type[CombinedOptions]", create_model(name, __base__=(CombinedOptions, *parts)))


def _restore(parts: tuple[type[BaseModel], ...], values: dict[str, Any]) -> CombinedOptions:
    return combine_options(*parts).model_validate(values)
