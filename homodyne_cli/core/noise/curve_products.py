r"""Sums and thin products of a model's columns, from two maps and the curves.

Every derivative of f is one of two maps times the difference of a curve between the frames of a
pair: A_ij (s_j - s_i), with A = f (signed as decay runs) for the curves of transport and A = df by
strain for those of strain. So with rows i and columns j above the diagonal and U an (n, r) matrix

    sum_ij A B (s_j - s_i) (t_j - t_i) = sum_j s_j t_j k_j + sum_i s_i t_i r_i
                                         - (s' P' t + t' P' s),    P = A B,  r, k its margins
    X U = A (s U) - s (A U)   on the rows,    s (A' U) - A' (s U)   on the columns

and no column is ever formed: a pass costs two maps and their products with U and s U. Curves are
counted from the first row of every slab, so that differences keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.dataset import FloatArray

#: Pairs worked on at once: two maps and their products stay in the cache.
SLAB_PAIRS = 60_000


@dataclass(frozen=True)
class ColumnProducts:
    """What a pass needs of columns X (k), zero on absent pairs.

    Attributes
    ----------
    thin
        (k, n, r) X U, X symmetric.
    plain
        (k, k + 2) sums over pairs of X with X, with one and with the data.
    """

    thin: FloatArray
    plain: FloatArray


@dataclass
class _Margins:
    """Sums of one map P above the diagonal against pairs of curves, added up slab by slab."""

    count: int
    both: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.both = np.zeros((self.count, self.count))

    def add(self, p: FloatArray, rows: FloatArray, columns: FloatArray) -> None:
        """Add sum P (s_j - s_i) (t_j - t_i) for curves over rows (c, R) and columns (c, C)."""
        crossed = rows @ (p @ columns.T)
        self.both += (columns * p.sum(axis=0)) @ columns.T + (rows * p.sum(axis=1)) @ rows.T
        self.both -= crossed + crossed.T


def f_products(
    model: PairModel, vectors: FloatArray, values: FloatArray, present: FloatArray | None
) -> ColumnProducts:
    """Return the products of f alone; arguments as below."""
    m = len(values)
    thin, plain = np.zeros((1, *vectors.shape)), np.zeros((1, 3))
    for rows, right in slabs(m):
        i, j = np.arange(rows.start, rows.stop)[:, None], np.arange(rows.start, m)
        f = model.f(i, j) * mask(present, rows, right)
        thin[0, rows] += f @ vectors[right]
        thin[0, right] += f.T @ vectors[rows]
        plain += np.array([np.vdot(f, f), f.sum(), np.vdot(f, values[rows, right])])
    return ColumnProducts(thin, plain)


def curve_products(
    model: PairModel,
    curves: ModelCurves,
    factors: tuple[float, float, float],
    vectors: FloatArray,
    values: FloatArray,
    present: FloatArray | None,
) -> ColumnProducts:
    """Return the products of [df/dp of all parameters, f].

    Parameters
    ----------
    factors
        q in 1/Å and kappa of the angle, and the derivative of kappa by phi0.
    vectors
        (n, r) U.
    values
        (n, n) data above the diagonal, zero where there are none.
    present
        (n, n) 1 where a pair has data; None for all of them.
    """
    transport, strain = _factored(curves, *factors)
    n_t, n_s, m = len(transport), len(strain), len(values)
    n_d = n_t + n_s
    every = np.concatenate([transport, strain])
    plain = np.zeros((n_d + 1, n_d + 3))
    # Whole maps: two large products are twice as fast as many small ones that are added up.
    odd = np.zeros((1 + (n_s > 0), m, m))
    squares = {key: _Margins(n_d) for key in ("tt", "ts", "ss")}
    rising = bool(np.all(np.diff(model.decay) >= 0.0))
    even = odd[0] if rising else np.zeros((m, m))
    for rows, right in slabs(m):
        i, j = np.arange(rows.start, rows.stop)[:, None], np.arange(rows.start, m)
        g, v = model.with_slope(i, j)
        known = mask(present, rows, right)
        f = np.square(g, out=g) * known
        v *= known
        along = f if rising else f * np.sign(model.decay[j] - model.decay[i])
        centre = every[:, rows.start, None]
        at_rows, at_columns = every[:, rows] - centre, every[:, right] - centre
        for whole, a in zip(odd, (along, v), strict=False):
            _add_mirrored(whole, a, rows, right, -1.0)
        if not rising:
            _add_mirrored(even, f, rows, right, 1.0)
        squares["tt"].add(along * along, at_rows, at_columns)
        if n_s:
            squares["ts"].add(along * v, at_rows, at_columns)
            squares["ss"].add(v * v, at_rows, at_columns)
        y = values[rows, right]
        for place, other in ((n_d, f), (n_d + 1, None), (n_d + 2, y)):
            for part, a in ((slice(0, n_t), along), (slice(n_t, n_d), v)):
                p = a if other is None else a * other
                sums = at_columns[part] @ p.sum(axis=0) - at_rows[part] @ p.sum(axis=1)
                plain[part, place] += sums
        plain[n_d, n_d:] += np.array([np.vdot(f, f), f.sum(), np.vdot(f, y)])
    is_strain = np.arange(n_d) >= n_t
    kinds = is_strain[:, None].astype(int) + is_strain
    plain[:n_d, :n_d] = np.choose(kinds, [squares[key].both for key in ("tt", "ts", "ss")])
    plain[n_d, :n_d] = plain[:n_d, n_d]
    thin = [_thin_columns(a, c, vectors) for a, c in zip(odd, (transport, strain), strict=False)]
    thin.append((np.abs(even, out=even) @ vectors)[None])
    return ColumnProducts(np.concatenate(thin), plain)


def slabs(m: int) -> list[tuple[slice, slice]]:
    """Return rows of a map, a few at a time, and the columns from the first of them on."""
    step = max(SLAB_PAIRS // m, 1)
    return [(slice(top, min(top + step, m)), slice(top, m)) for top in range(0, m, step)]


def mask(present: FloatArray | None, rows: slice, right: slice) -> FloatArray:
    """Return 1 above the diagonal where there are data, else 0."""
    if present is not None:
        return present[rows, right]
    above = np.arange(right.start, right.stop) > np.arange(rows.start, rows.stop)[:, None]
    return above.astype(float)


def _factored(
    curves: ModelCurves, q: float, kappa: float, kappa_slope: float
) -> tuple[FloatArray, FloatArray]:
    """Return the curves of transport and of strain, with what is the same for all pairs."""
    transport = -(q**2) * curves.transport_slopes
    if not len(curves.strain_slopes):
        return transport, np.zeros((0, transport.shape[1]))
    strain = np.concatenate([kappa * curves.strain_slopes, kappa_slope * curves.strain[None]])
    return transport, strain


def _add_mirrored(whole: FloatArray, a: FloatArray, rows: slice, right: slice, sign: float) -> None:
    """Add some rows of a map that is zero below its diagonal, and its mirror image times a sign."""
    whole[rows, right] += a
    whole[right, rows] += sign * a.T


def _thin_columns(odd: FloatArray, curves: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return X U of the columns A (s_j - s_i), mirrored below the diagonal: (c, n, r).

    Parameters
    ----------
    odd
        (n, n) A above the diagonal, -A' below it.
    """
    n, r = vectors.shape
    dressed = np.concatenate([np.ones((1, n)), curves]).T[:, :, None] * vectors[:, None, :]
    products = (odd @ dressed.reshape(n, -1)).reshape(n, len(curves) + 1, r)
    return np.asarray((products[:, 1:] - curves.T[:, :, None] * products[:, :1]).swapaxes(0, 1))
