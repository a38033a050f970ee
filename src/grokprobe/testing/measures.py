"""The laws that probes, compressors and metrics share."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from grokprobe.interfaces import Applicability, Measure, Requirement
from grokprobe.testing.conformance import ConformanceError, require
from grokprobe.testing.context import FixedContext


def bind_measure(measure: Measure, context: FixedContext, options: Any) -> FixedContext:
    """Checks what every measure has, and returns the context it will see: its options, and only what it requires.

    Args:
        measure: the measure.
        context: a context it applies to.
        options: its options; None for those of ``context``, or the defaults.

    Raises:
        ConformanceError: a shared law is broken, or the measure does not apply to ``context``.
    """
    require(bool(measure.name) and measure.name == measure.name.strip(), "name is a plain word", repr(measure.name))
    require(isinstance(measure.version, str) and bool(measure.version), "version is a text", repr(measure.version))
    require(
        isinstance(measure.requires, frozenset) and all(isinstance(need, Requirement) for need in measure.requires),
        "requires is a frozenset of Requirement",
        repr(measure.requires),
    )
    require(isinstance(measure.is_cheap, bool), "is_cheap is True or False", repr(measure.is_cheap))
    defaults = _check_options(measure.options)
    for variant, values in measure.variants.items():
        _check_variant(measure.options, variant, values)
    chosen = next(value for value in (options, context.options, defaults) if value is not None)
    require(isinstance(chosen, measure.options), "options are an instance of the measure's model", repr(chosen))
    _check_applies(measure, context, chosen)
    return context.with_options(chosen).with_requirements(measure.requires)


def _check_options(model: type[BaseModel]) -> BaseModel:
    require(
        model.model_config.get("strict") is True and model.model_config.get("extra") == "forbid",
        "options is a strict pydantic model that forbids unknown keys",
        f"{model.__name__} with {dict(model.model_config)}",
    )
    try:
        return model()
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise ConformanceError(f"every option has a valid default: {fields}") from error


def _check_variant(model: type[BaseModel], variant: str, values: Mapping[str, Any]) -> None:
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ConformanceError(f"every variant is valid options: {variant}: {where}: {fault['msg']}") from error


def _check_applies(measure: Measure, context: FixedContext, options: Any) -> None:
    subject = context.subject
    missing = sorted(measure.requires - subject.available)
    require(not missing, "the context offers what the measure requires", f"missing {', '.join(missing)}")
    answer = measure.applies(subject, options)
    require(isinstance(answer, Applicability), "applies returns an Applicability", repr(answer))
    require(answer == measure.applies(subject, options), "applies gives the same answer twice")
    require(not answer.reason, "applies to the given context", answer.reason)
