"""The tables of a recipe that do not depend on the task."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from grokprobe.errors import UsageError
from grokprobe.faults import suggest
from grokprobe.training.schedule import resolve_schedule, split_dense

OPTIMIZERS = ("adam", "adamw", "sgd")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Returns the seeds of a list of numbers and closed ranges, in the order given.

    Raises:
        UsageError: a part is neither a number nor an increasing range, or a seed is there twice.

    Example:
        >>> assert parse_seeds("0-4,7") == (0, 1, 2, 3, 4, 7)
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f"expected seeds such as 0-4,7, found {part.strip()!r} in {text!r}")
        seeds.extend(range(int(first), int(last if dash else first) + 1))
    return _unique(seeds, "seed")


def parse_init_scales(text: str) -> tuple[float, ...]:
    """Returns the positive, different numbers of a list such as ``0.1,1,10``.

    Raises:
        UsageError: a part is no positive finite number, or a scale is there twice.

    Example:
        >>> assert parse_init_scales("0.1,1,10") == (0.1, 1.0, 10.0)
    """
    try:
        scales = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"expected init_scales such as 0.1,1,10, found {text!r}") from error
    for scale in scales:
        if not (math.isfinite(scale) and scale > 0):
            raise UsageError(f"expected positive finite init_scales, found {scale:g} in {text!r}")
    return _unique(scales, "init_scale")


def parse_numbers(text: str) -> tuple[float, ...]:
    """Returns the numbers of a list such as ``1e-3,1e-2``.

    Raises:
        UsageError: a part is no number.

    Example:
        >>> assert parse_numbers("1e-3,1e-2") == (0.001, 0.01)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"expected numbers such as 1e-3,1e-2, found {text!r}") from error


class OptimizerTable(BaseModel):
    """The ``[optimizer]`` table."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: ``adam`` adds weight_decay · θ to the gradient (coupled L2); ``adamw`` shrinks θ by lr · weight_decay · θ apart
    #: from it; ``sgd`` is plain gradient descent with coupled L2, no momentum.
    name: str
    #: Learning rate.
    lr: float = Field(gt=0, allow_inf_nan=False)
    #: Weight decay; biases decay too.
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    #: Samples of a step; the last batch of an epoch is smaller if they do not divide. ``"full"`` is all of them.
    batch_size: int | Literal["full"]
    #: Whether every epoch has a new random order. Without it all epochs have the same batches in the same order.
    reshuffle: bool

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in OPTIMIZERS:
            raise ValueError(f"expected one of {', '.join(OPTIMIZERS)}, found {name!r}{suggest(name, OPTIMIZERS)}")
        return name

    @field_validator("batch_size", mode="before")
    @classmethod
    def _is_count_or_full(cls, value: Any) -> Any:
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not is_count and value != "full":
            raise ValueError(f"expected a number of samples of at least 1, or 'full', found {value!r}")
        return value


def _parse_text(parse: Any) -> BeforeValidator:
    """Returns a validator that parses a text with ``parse`` and takes an array as it is."""

    def parsed(value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool) and parse is parse_numbers:
            return (value,)
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, list) else value
        try:
            return parse(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(parsed)


class SweepTable(BaseModel):
    """The ``[sweep]`` table: a run for each seed and each init_scale, and for each learning rate and weight decay.

    Runs that differ in seed or init_scale alone are one experiment. Each learning rate and each weight decay is an
    experiment of its own, with its name and directory; all of them can be trained in one computation.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Non-negative, different seeds: an array, or a text such as ``"0-4,7"``.
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], _parse_text(parse_seeds)]
    #: Positive, different multipliers of the initialisation: an array, or a text such as ``"0.1,1,10"``.
    init_scales: Annotated[
        tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], _parse_text(parse_init_scales)
    ]

    #: Learning rates in place of the optimizer's: an array, or a text such as ``"1e-3,1e-2"``; none for that one.
    lr: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], _parse_text(parse_numbers)] = ()
    #: Weight decays in place of the optimizer's, in the same forms.
    weight_decay: Annotated[
        tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], _parse_text(parse_numbers)
    ] = ()

    @field_validator("seeds", "init_scales", "lr", "weight_decay")
    @classmethod
    def _are_unique(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if not values and info.field_name in ("lr", "weight_decay"):
            return values
        try:
            return _unique(values, str(info.field_name).removesuffix("s"))
        except UsageError as error:
            raise ValueError(str(error)) from error


class ScheduleTable(BaseModel):
    """The ``[schedule]`` table: how long, and when to write what."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Number of epochs, passes over the training split.
    epochs: int = Field(ge=0)
    #: Epochs with a checkpoint, in the forms of :mod:`grokprobe.training.schedule`, those that follow the run included.
    checkpoints: Annotated[tuple[str, ...], _parse_text(lambda text: (text,))]
    #: Epochs with a row of the history, in the same forms.
    history: Annotated[tuple[str, ...], _parse_text(lambda text: (text,))]

    @field_validator("checkpoints", "history")
    @classmethod
    def _resolves(cls, entries: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "epochs" in info.data:
            try:
                fixed = split_dense(entries)[0] if info.field_name == "checkpoints" else entries
                resolve_schedule(fixed, info.data["epochs"])
            except UsageError as error:
                raise ValueError(str(error)) from error
        return entries

    def checkpoint_epochs(self) -> tuple[int, ...]:
        """Returns the epochs that have a checkpoint in any case; 0 and the last are always among them."""
        return resolve_schedule(split_dense(self.checkpoints)[0], self.epochs)

    @property
    def accuracy_step(self) -> float | None:
        """Change of the test accuracy since the last checkpoint that makes another; None where only epochs count."""
        return split_dense(self.checkpoints)[1]

    def history_epochs(self) -> tuple[int, ...]:
        """Returns the epochs with a row of the history; 0 and the last are always among them."""
        return resolve_schedule(self.history, self.epochs)


def _unique(values: Sequence[Any], name: str) -> tuple[Any, ...]:
    if not values:
        raise UsageError(f"expected at least one {name}, found none")
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise UsageError(f"expected every {name} once, found {repeated[0]:g} more than once")
    return tuple(values)
