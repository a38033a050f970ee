"""The laws of a GeometryMetric."""

from typing import Any, Final

import torch

from grokprobe.interfaces import GeometryMetric, Parameters
from grokprobe.numerics.streams import build_generator
from grokprobe.testing.conformance import require
from grokprobe.testing.context import FixedContext
from grokprobe.testing.measures import bind_measure
from grokprobe.testing.mutation import Snapshot

#: Inner products may differ by this much of the tangents' norms: forwards are float32.
TOLERANCE: Final = 1e-4


def check_metric(metric: GeometryMetric, context: FixedContext, options: Any = None) -> None:
    """Checks ``metric`` against the laws of :class:`grokprobe.interfaces.GeometryMetric`.

    The Gram matrix is float64, of the right shape, symmetric, positive semi-definite and bilinear; an inner product
    does not depend on the other tangents; context and tangents are not modified; the same context gives an equal
    result.

    Args:
        metric: the metric.
        context: a context it applies to.
        options: its options; None for those of ``context``, or the defaults.

    Raises:
        ConformanceError: a law is broken.
    """
    bound = bind_measure(metric, context, options)
    first, second = (_draw_tangent(bound.parameters, stream) for stream in (0, 1))
    combined = {name: 2 * tensor - 3 * second[name] for name, tensor in first.items()}
    zero = {name: torch.zeros_like(tensor) for name, tensor in first.items()}
    tangents = [first, second, combined, zero]
    snapshot = Snapshot(bound, *tangents)
    gram = metric.gram(bound, tangents)
    snapshot.require_unchanged()
    _check_gram(gram, len(tangents))
    scale = gram.diagonal().max().item()
    _check_close(gram[2], 2 * gram[0] - 3 * gram[1], scale, "inner products are bilinear")
    _check_close(gram[3], torch.zeros_like(gram[3]), scale, "the zero tangent is orthogonal to everything")
    _check_close(
        metric.gram(bound, [second])[0], gram[1, 1:2], scale, "an inner product does not depend on other tangents"
    )
    require(torch.equal(metric.gram(bound, tangents), gram), "same context gives an equal result", "two calls differ")


def _draw_tangent(parameters: Parameters, stream: int) -> dict[str, torch.Tensor]:
    generator = build_generator(0, stream)
    return {name: torch.randn(tensor.shape, generator=generator).to(tensor) for name, tensor in parameters.items()}


def _check_gram(gram: torch.Tensor, num_tangents: int) -> None:
    require(gram.shape == (num_tangents, num_tangents), "gram has one row and column a tangent", f"{tuple(gram.shape)}")
    require(gram.dtype == torch.float64, "gram is float64", str(gram.dtype))
    require(bool(torch.isfinite(gram).all()), "inner products are finite")
    scale = gram.diagonal().abs().max().item()
    _check_close(gram, gram.T, scale, "gram is symmetric")
    smallest = torch.linalg.eigvalsh((gram + gram.T) / 2).min().item()
    require(
        smallest >= -TOLERANCE * scale, "gram is positive semi-definite", f"an eigenvalue of {smallest:g} of {scale:g}"
    )


def _check_close(found: torch.Tensor, expected: torch.Tensor, scale: float, law: str) -> None:
    error = (found - expected).abs().max().item()
    require(error <= TOLERANCE * scale, law, f"off by {error:g} where norms are {scale:g}")
