r"""Sums over pairs of fields times patterns, and the Gram matrices that they make.

With f = exp(-q^2 |dA|) S(kappa dG) the derivatives of f are a field that depends on the angle times
a pattern that does not::

    df/dp_D   = u * (-q^2 sign(dA) dA_p)         u = E S          dA_p = A_p[j] - A_p[i]
    df/dp_g   = v * (kappa dG_p)                 v = E S'(x)
    df/dphi0  = v * (dkappa/dphi0 dG)

so that each sum over pairs of a product of two columns is the product of a *field* (one of
w u^2, w u v, w v^2, w u, w v, w u y, w v y; w the pair weight) with a *pattern* shared by all
angles (products of sign(dA) dA_p, dG_p and 1). The pass is seven fields times a few dozen
patterns as matrix products over the pairs, on the devices and on the host alike.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import PassSpec
from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.dataset import FloatArray, IndexArray, Moments
from homodyne_cli.parameters import N_DIFFUSION

if TYPE_CHECKING:
    import jax

#: On the devices or on the host.
Array = TypeVar("Array", "jax.Array", FloatArray)


def field_sums(
    u: Array,
    v: Array | None,
    w: Array | None,
    y: Array,
    u_patterns: Array,
    v_patterns: Array | None,
) -> list[Array]:
    """Return the sums as (n_phi, some) each, in the order uu, uv, vv, u1, uy, v1, vy.

    Parameters
    ----------
    u, v, w, y
        (n_phi, ...) fields over the pairs; with weights u and v may be (1, ...). v is None without
        shear, and where no derivatives are taken; w where all weights are 1.
    u_patterns
        (m, pairs) sign(dA) dA_p and 1, or that alone.
    v_patterns
        (4, pairs) dG_p and dG.

    Returns
    -------
    list
        uu and vv are upper triangles; what belongs to v is missing where that is.
    """

    def against(patterns: Array, field: Array) -> Array:
        # One product per field: stacking fields for a larger one costs more than it saves.
        return field.reshape(len(y), -1) @ patterns.T

    wu = u if w is None else w * u
    uu = against(_squares(u_patterns), wu * u)
    u1, uy = against(u_patterns, wu), against(u_patterns, wu * y)
    if v is None or v_patterns is None:
        return [uu, u1, uy]
    wv = v if w is None else w * v
    uv = against(_products(u_patterns, v_patterns), wu * v)
    vv = against(_squares(v_patterns), wv * v)
    return [uu, uv, vv, u1, uy, against(v_patterns, wv), against(v_patterns, wv * y)]


def _products(left: Array, right: Array) -> Array:
    """Return all products of two sets of patterns: (m * k, pairs)."""
    return (left[:, None] * right[None]).reshape(-1, left.shape[-1])


def _squares(patterns: Array) -> Array:
    """Return the products of patterns among themselves, each once: (m (m + 1)/2, pairs)."""
    first, second = _upper_triangle(len(patterns))
    return patterns[first] * patterns[second]


@cache
def _upper_triangle(size: int) -> tuple[IndexArray, IndexArray]:
    first, second = np.triu_indices(size)
    return first, second


def _widths(kind: PassSpec) -> tuple[int, ...]:
    """Return how many sums there are of each sort: those of fields, and four of a robust loss."""
    n_u, n_v = kind.patterns
    return (
        n_u * (n_u + 1) // 2,
        n_u * n_v,
        n_v * (n_v + 1) // 2,
        *(n_u, n_u, n_v, n_v),
        4,
    )


def n_sums(kind: PassSpec) -> int:
    """Return the length of a row of sums."""
    return sum(_widths(kind))


@cache
def _places(kind: PassSpec) -> IndexArray:
    """Return (m, m): where each Gram element is in a row of sums followed by the moments.

    The last four sums are (w, w y, w y^2, loss) of a robust loss.
    """
    n_u, n_v = kind.patterns
    total = n_sums(kind)
    uu, uv, vv, u1, uy, v1, vy, ones = np.split(np.arange(total), np.cumsum(_widths(kind))[:-1])
    if kind.weight.loss == "linear":
        ones = total + np.arange(3)
    size = n_u + n_v + 2
    place = np.zeros((size, size), dtype=np.intp)
    u, v = np.arange(n_u), np.arange(n_u, n_u + n_v)
    for block, columns in ((uu, u), (vv, v)):
        first, second = _upper_triangle(len(columns))
        place[columns[first], columns[second]] = block
    place[u[:, None], v] = np.reshape(uv, (n_u, n_v))
    place[u, -2], place[u, -1], place[v, -2], place[v, -1] = u1, uy, v1, vy
    place[-2, -2], place[-2, -1], place[-1, -1] = ones[:3]
    lower = np.tril_indices(size, -1)
    place[lower] = place.T[lower]
    order = [*range(n_u - 1), *range(n_u, n_u + n_v), n_u - 1, size - 2, size - 1]
    return place[np.ix_(order, order)]


def gram_matrices(
    kind: PassSpec, rows: FloatArray, moments: Moments, model: ModelCurves
) -> FloatArray:
    """Return (n_phi, m, m) from rows of sums (n_phi, some).

    Parameters
    ----------
    moments
        What does not depend on the parameters.
    """
    known = np.stack([moments.count, moments.y, moments.yy], axis=1)
    scale = _column_scale(kind, model)
    gram = np.concatenate([rows, known], axis=-1)[:, _places(kind)]
    return np.asarray(gram * scale[:, :, None] * scale[:, None, :])


def _column_scale(kind: PassSpec, model: ModelCurves) -> FloatArray:
    """Return (n_phi, m): the factors of the columns that do not depend on the pair."""
    tail = np.ones((len(model.q), 3))
    if not kind.derivatives:
        return tail
    diffusion = np.repeat(-(model.q[:, None] ** 2), N_DIFFUSION, axis=1)
    if kind.mode == "static":
        return np.hstack([diffusion, tail])
    shear = np.repeat(model.kappa[:, None], 3, axis=1)
    return np.hstack([diffusion, shear, model.kappa_slope[:, None], tail])
