"""What the core makes of a compressor: loss and accuracy of the compressed network over the amounts."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.compressors.curve_variables import BY_LAYER, TOGETHER
from grokprobe.interfaces import Applicability, Compressor, Context, Parameters, Requirement, Subject
from grokprobe.numerics.compression_curve import summarise_curve
from grokprobe.options import combine_options
from grokprobe.variables import Coordinate, Measurement, VariableSpec

#: Changes whenever a number that follows from the compressed parameters may change.
CURVE_VERSION: Final = "1"
#: The variant that every compressor has.
VARIANT_BY_LAYER: Final = "by_layer"


class CurveOptions(BaseModel):
    """Options that every compressor has beside its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether one layer is compressed at a time, the others as they were, instead of all together. The layer is then
    #: what it becomes when all are compressed, so where the amount is shared globally it can lose another share.
    by_layer: bool = False


class CompressionCurve:
    """Compresses a checkpoint by growing amounts and evaluates it on the test split.

    Nothing is trained again, and every amount starts from the original. The variant ``by_layer`` sets the option of
    that name, beside what the compressor's own variant of the name sets. The version is that of the compressor and that
    of the curve.

    Reference: Manning-Coe et al., arXiv 2502.01739, section 4 and appendix F.
    """

    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor
        self.name = compressor.name
        self.version = f"{compressor.version}+curve.{CURVE_VERSION}"
        self.requires = compressor.requires | {Requirement.MODEL, Requirement.TEST_SPLIT}
        self.is_cheap = compressor.is_cheap
        self.options: type[BaseModel] = combine_options(CurveOptions, compressor.options)
        by_layer = {"by_layer": True, **compressor.variants.get(VARIANT_BY_LAYER, {})}
        self.variants: Mapping[str, Mapping[str, Any]] = {**compressor.variants, VARIANT_BY_LAYER: by_layer}

    def __reduce__(self) -> Any:
        """Pickles the compressor alone: the class of the combined options stands in no module."""
        return CompressionCurve, (self._compressor,)

    def applies(self, subject: Subject, options: Any) -> Applicability:
        """Applies where the compressor does and a task says what the loss is."""
        if subject.task is None:
            return Applicability(reason="no task says what the loss is")
        return self._compressor.applies(subject, options)

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        """Returns the specifications."""
        return BY_LAYER if options.by_layer else TOGETHER

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        options = context.options
        amounts = np.asarray(self._compressor.amounts(options), dtype=np.float64)
        parts = self._compressor.parts(context.subject, options) if options.by_layer else {}
        compressed = self._compressor.compress(context, amounts.tolist())
        evaluations = np.array(
            [
                [context.evaluate(variant, context.test) for variant in _variants(context.parameters, changed, parts)]
                for changed in compressed
            ]
        )  # (amount, layer, loss or accuracy); evaluated one by one: what is yielded may be reused for the next amount
        loss, accuracy = np.moveaxis(evaluations if options.by_layer else evaluations[:, 0], (-1, 0), (0, -1))
        summary = summarise_curve(amounts, accuracy)
        values = {
            "accuracy": accuracy,
            "loss": loss,
            "area": summary.area,
            "compressibility": summary.compressibility,
            "compressibility_error": summary.compressibility_error,
            "amount_at_95": summary.amount_at_95,
            "amount_at_95_relative": summary.amount_at_95_relative,
        }
        return Measurement(values=values, coordinates=self._coordinates(amounts, options, parts))

    def _coordinates(self, amounts: np.ndarray, options: Any, parts: Mapping[str, Any]) -> dict[str, Coordinate]:
        coordinates = {
            names.AMOUNT: Coordinate(dim=names.AMOUNT, values=amounts, description="fraction removed"),
            **self._compressor.labels(options),
        }
        if options.by_layer:
            labels = np.array(list(parts))
            coordinates[names.LAYER] = Coordinate(dim=names.LAYER, values=labels, description="what is compressed")
        return coordinates


def _variants(
    original: Parameters, compressed: Parameters, parts: Mapping[str, tuple[str, ...]]
) -> Iterator[Parameters]:
    """Yields the compressed network, or where there are parts the original with one of them compressed at a time."""
    if not parts:
        yield compressed
    for members in parts.values():
        yield {**original, **{name: compressed[name] for name in members}}
