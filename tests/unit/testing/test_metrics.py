import pytest
import torch

from grokprobe.testing import ConformanceError, check_metric
from unit.testing.miniature import EuclideanMetric, build_context


class SinglePrecision(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents).float()


class OneRow(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents)[:1]


class Lopsided(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents).triu()


class Negative(EuclideanMetric):
    def gram(self, context, tangents):
        return -super().gram(context, tangents)


class Cosines(EuclideanMetric):
    def gram(self, context, tangents):
        gram = super().gram(context, tangents)
        norms = gram.diagonal().sqrt().clamp(min=1e-9)
        return gram / torch.outer(norms, norms)


class Shifted(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents) + 1


class Centred(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents) / len(tangents)


class Undefined(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents) * torch.nan


class Random(EuclideanMetric):
    def gram(self, context, tangents):
        return super().gram(context, tangents) * (1 + 1e-9 * torch.rand(1).item())


class NormalisesTangents(EuclideanMetric):
    def gram(self, context, tangents):
        tangents[0]["weight"].div_(2)
        return super().gram(context, tangents)


def test_conforming_metric_passes():
    check_metric(EuclideanMetric(), build_context())


@pytest.mark.parametrize(
    ("metric", "law"),
    [
        (SinglePrecision, "gram is float64: torch.float32"),
        (OneRow, r"gram has one row and column a tangent: \(1, 4\)"),
        (Lopsided, "gram is symmetric: off by"),
        (Negative, "gram is positive semi-definite: an eigenvalue of -"),
        (Cosines, "inner products are bilinear: off by"),
        (Shifted, "inner products are bilinear|the zero tangent is orthogonal"),
        (Centred, "an inner product does not depend on other tangents"),
        (Undefined, "inner products are finite"),
        (Random, "same context gives an equal result"),
        (NormalisesTangents, "does not modify the context: the values of weight changed"),
    ],
)
def test_broken_law_is_named(metric, law):
    with pytest.raises(ConformanceError, match=f"^({law})"):
        check_metric(metric(), build_context())
