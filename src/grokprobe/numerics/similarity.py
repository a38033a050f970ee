"""How alike two representations of the same samples are, whatever basis each is written in."""

from dataclasses import dataclass

import torch

from grokprobe.numerics.cross_products import CrossProducts


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Two similarities of representations X and Y, both in [0, 1]; NaN where one of them does not vary."""

    #: Linear centred kernel alignment.
    cka: float
    #: Orthogonal Procrustes similarity.
    procrustes: float


def compute_similarity(left: CrossProducts, right: CrossProducts, cross: CrossProducts, *, eps: float) -> Similarity:
    """Computes linear CKA and the orthogonal Procrustes similarity from feature-space products.

    With X and Y the centred features, one row a sample:

    - CKA = ‖XᵀY‖_F² / (‖XᵀX‖_F ‖YᵀY‖_F), which equals tr(KL) / √(tr(KK) tr(LL)) with the centred kernels K = XXᵀ and
      L = YYᵀ: the alignment of HSIC's biased estimates;
    - Procrustes = ‖XᵀY‖_* / (‖X‖_F ‖Y‖_F), with the nuclear norm: the largest cosine of X and any rotation YQ. The
      squared Procrustes distance of the representations divided by their norms is 2 − 2 times that.

    CKA weights directions by their variance squared, so that a few large ones decide it; Procrustes by their variance.
    A layer whose similarity to the final network rises before the test accuracy does forms its features early.

    Properties: 1 for equal representations; invariant to orthogonal transformations and isotropic scaling of either,
    not to general linear maps; symmetric. Of independent white noise it is not 0: CKA is about d / (n + d) for d
    features each on n samples.

    Args:
        left: products of X with itself.
        right: products of Y with itself.
        cross: products of X with Y.
        eps: relative rounding of the features. A representation whose deviations are at most 4 eps of its size does
            not vary.

    Reference:
        Kornblith, Norouzi, Lee and Hinton, arXiv 1905.00414, Eq. 4 and 5; Ding, Denain and Steinhardt, arXiv
        2108.01661, section 3.

    Example:
        >>> from grokprobe.numerics.cross_products import compute_cross_products as products
        >>> x, y = torch.eye(4)[:, :2], torch.eye(4)[:, :2].flip(1)
        >>> alike = compute_similarity(products(x, x), products(y, y), products(x, y), eps=1e-7)
        >>> assert abs(alike.cka - 1) < 1e-12 and abs(alike.procrustes - 1) < 1e-12
    """
    if not (_varies(left, eps) and _varies(right, eps)):
        return Similarity(cka=float("nan"), procrustes=float("nan"))
    # Each factor is divided by its own size first: products of sizes would overflow.
    size = left.products.trace().sqrt() * right.products.trace().sqrt()
    normalised = cross.products / size
    norms = [torch.linalg.matrix_norm(part.products / part.products.trace()) for part in (left, right)]
    return Similarity(
        cka=(torch.linalg.matrix_norm(normalised).square() / (norms[0] * norms[1])).item(),
        procrustes=torch.linalg.svdvals(normalised).sum().item(),
    )


def _varies(features: CrossProducts, eps: float) -> bool:
    size = features.products.trace().sqrt().item()
    return 4 * eps * features.scale < size < float("inf")  # False for NaN
