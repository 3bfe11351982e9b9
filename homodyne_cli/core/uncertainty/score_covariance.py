r"""Covariance of the score of one speckle, in closed form.

With symmetric weights W (zero on the diagonal; the weighted columns of the Jacobian) the score
sum_{i<j} W_ij (x_i x_j - b_ij (x_i + x_j)) is a polynomial of fourth order in the field. It splits
into two uncorrelated parts, by the order of what is left after contraction:

    second order   Q = W * g - diag(sum_j W_ij b_ij)     covariance tr(Q g Q' g)
    fourth order   W                                     tr(W F W' F) / 2 + T / 2

where * is element by element, g the matrix of g1, F of f = g^2, and

    T = sum W_ij W'_kl g_ik g_kj g_jl g_li.

Drawing fields instead would need far more of them than it seems: fourth powers of an intensity
scatter so widely that 600 fields leave 14-23% of error in an uncertainty.

Frames are merged into blocks first if there are many. W and Q are summed over the pairs of blocks,
g and F are averaged over them, so that noise averages within blocks as it does in the fit. T costs
the fourth power of the number of blocks, so it is taken over larger ones, with g the signed root of
the mean of F: products of neighbouring g average like f.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.dataset import FloatArray

#: Rows of blocks worked on at once, in pairs of frames: keeps the arrays in the cache.
_SLAB_PAIRS = 150_000
#: Multiplications that the closed form may cost over all angles, and T alone.
_BUDGET = 1e10
_FOURTH_BUDGET = 1e9
_LEAST = 64


@dataclass(frozen=True)
class BlockSums:
    """One angle over m blocks of frames; see the module.

    `weights` and `contracted` are (k, m, m) sums of W and Q, `f` and `g` (m, m) means.
    """

    weights: FloatArray
    contracted: FloatArray
    f: FloatArray
    g: FloatArray


def block_size(n: int, n_phi: int, columns: int) -> int:
    """Return the frames per block: as few as can be afforded."""
    most = max(int((_BUDGET / (2.0 * columns * n_phi)) ** (1.0 / 3.0)), _LEAST)
    return -(-n // most)


def _block_sums(values: FloatArray, size: int) -> FloatArray:
    """Sum over blocks of `size` rows and columns; the last ones may be smaller."""
    for axis in (0, 1):
        lines = np.moveaxis(values, axis, 0)
        total = lines[::size].copy()
        for k in range(1, size):
            part = lines[k::size]
            total[: len(part)] += part
        values = np.moveaxis(total, 0, axis)
    return values


def sum_blocks(
    model: PairModel,
    curves: ModelCurves,
    angle: int,
    size: int,
    weigh: Callable[[np.ndarray, np.ndarray, FloatArray], FloatArray],
    contrast: float,
) -> BlockSums:
    """Evaluate weighted columns (derivatives by all parameters, f and 1) and sum them.

    Parameters
    ----------
    size
        Frames per block.
    weigh
        Returns the weights of pairs of frames (R, 1) and (1, C), where f is given; zero below
        the diagonal and where there are no data.
    """
    n = len(model.decay)
    m = -(-n // size)
    root = min(contrast, 1.0) ** 0.5
    slopes = _slopes(model, curves)
    kinds = sum(len(group) for group in slopes) + 2
    plain, dressed, ends = np.zeros((3, kinds, m, m))
    f_sum, g_sum = np.zeros((2, m, m))
    step = max(_SLAB_PAIRS // (n * size), 1)
    for top in range(0, m, step):
        bottom = min(top + step, m)
        at = slice(None), slice(top, bottom), slice(top, m)
        i = np.arange(top * size, min(bottom * size, n))[:, None]
        j = np.arange(top * size, n)[None, :]
        g, v = model.with_slope(i, j)
        f = g * g
        f_sum[at[1:]], g_sum[at[1:]] = _block_sums(f, size), _block_sums(g, size)
        weight = weigh(i, j, f).astype(g.dtype)
        along = weight * f
        fields = [along * np.sign(model.decay[j] - model.decay[i])]
        if model.form is not None:
            fields.append(weight * v)
        for out, factor in ((plain, None), (dressed, g), (ends, (root * f).astype(g.dtype))):
            *held, f_column, ones = (
                u if factor is None else u * factor for u in (*fields, along, weight)
            )
            rows = [_curve_sums(u, c, top * size, size) for u, c in zip(held, slopes, strict=True)]
            rest = [_block_sums(u, size) for u in (f_column, ones)]
            out[at] = np.concatenate([*rows, rest])
    factors = _factors(curves, angle, contrast)[:kinds, None, None]
    frames = np.minimum(size, n - size * np.arange(m))
    area = np.outer(frames, frames)
    contracted = dressed + dressed.swapaxes(1, 2)
    diagonal = np.arange(m)
    contracted[:, diagonal, diagonal] -= ends.sum(axis=1) + ends.sum(axis=2)
    means = [(np.triu(s) + np.triu(s, 1).T) / area for s in (f_sum, g_sum)]
    weights = plain + plain.swapaxes(1, 2)
    return BlockSums(factors * weights, factors * contracted, *means)


def _slopes(model: PairModel, curves: ModelCurves) -> list[FloatArray]:
    """Return the curves whose differences make the columns, by the field that they multiply."""
    if model.form is None:
        return [curves.transport_slopes]
    return [curves.transport_slopes, np.concatenate([curves.strain_slopes, curves.strain[None]])]


def _factors(curves: ModelCurves, angle: int, contrast: float) -> FloatArray:
    """Return what is the same for all pairs of a column, in table order, then f and 1."""
    shear = len(curves.strain_slopes)
    kappa, slope = curves.kappa[angle], curves.kappa_slope[angle]
    known = [[-(curves.q[angle] ** 2)] * len(curves.transport_slopes)]
    if shear:
        known += [[kappa] * shear, [slope]]
    return np.concatenate([contrast * np.concatenate(known), [1.0, 1.0]])


def _curve_sums(field: FloatArray, curves: FloatArray, first: int, size: int) -> FloatArray:
    """Return block sums of field_ij (curve_j - curve_i): (curves, rows / size, columns / size).

    The curves are summed against the rows of a block at once, and only then taken apart.

    Parameters
    ----------
    first
        Number of the first row and of the first column of the field.
    """
    rows, columns = field.shape
    padding = -rows % size
    along = np.zeros((len(curves) + 1, rows + padding), field.dtype)
    along[0, :rows], along[1:, :rows] = 1.0, curves[:, first : first + rows]
    along = along.reshape(len(along), -1, size).swapaxes(0, 1)
    whole = np.pad(field, ((0, padding), (0, 0))) if padding else field
    sums = along @ whole.reshape(-1, size, columns)
    values = sums[:, :1] * curves[:, first : first + columns] - sums[:, 1:]
    return np.add.reduceat(values, np.arange(0, columns, size), axis=2).swapaxes(0, 1)


def score_covariance(sums: BlockSums, n_phi: int) -> FloatArray:
    """Return the (k, k) covariance of the scores of one speckle, per unit contrast."""
    k, m = sums.weights.shape[:2]
    most = max(int((_FOURTH_BUDGET / (k * n_phi)) ** 0.25), _LEAST // 2)
    size = -(-m // most)
    larger = np.stack([_block_sums(w, size) for w in sums.weights])
    means = _block_sums(sums.f, size) / _block_sums(np.ones((m, m)), size)
    means = np.sqrt(means) * np.sign(_block_sums(sums.g, size))
    i, j = np.triu_indices(len(means))
    # Both orders of a pair count; a block has pairs within itself.
    multiplicity = np.where(i == j, 1.0, 2.0)
    u = means[i] * means[j]
    inner = ((u @ larger) * u).sum(axis=-1)
    crossed = (multiplicity * larger[:, i, j]) @ inner.T
    covariance = _traces(sums.contracted @ sums.g) + 0.5 * _traces(sums.weights @ sums.f)
    return np.asarray(covariance + 0.25 * (crossed + crossed.T))


def _traces(products: FloatArray) -> FloatArray:
    """Return tr(P_a P_b) for all a and b."""
    k = len(products)
    return np.asarray(products.reshape(k, -1) @ products.swapaxes(1, 2).reshape(k, -1).T)
