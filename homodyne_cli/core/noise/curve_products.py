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
    thin = _Thin(transport, vectors), _Thin(strain, vectors)
    unsigned = _Thin(strain[:0], vectors)
    squares = {key: _Margins(n_d) for key in ("tt", "ts", "ss")}
    rising = bool(np.all(np.diff(model.decay) >= 0.0))
    for rows, right in slabs(m):
        i, j = np.arange(rows.start, rows.stop)[:, None], np.arange(rows.start, m)
        g, v = model.with_slope(i, j)
        known = mask(present, rows, right)
        f = np.square(g, out=g) * known
        v *= known
        along = f if rising else f * np.sign(model.decay[j] - model.decay[i])
        centre = every[:, rows.start, None]
        at_rows, at_columns = every[:, rows] - centre, every[:, right] - centre
        thin[0].add(along, rows, right)
        if n_s:
            thin[1].add(v, rows, right)
        if not rising:
            unsigned.add(f, rows, right)
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
    of_f = (thin[0] if rising else unsigned).plain()
    return ColumnProducts(np.concatenate([*(t.columns() for t in thin), of_f[None]]), plain)


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


@dataclass
class _Thin:
    """Products of one map A with U and the curves times U, from which X U of its columns follows.

    `on_rows` is A W and `on_columns` A' W for W = [U, s U of every curve], (n, (c + 1) r).
    """

    curves: FloatArray
    vectors: FloatArray

    def __post_init__(self) -> None:
        n, r = self.vectors.shape
        dressed = self.curves.T[:, :, None] * self.vectors[:, None, :]
        self.w = np.hstack([self.vectors, dressed.reshape(n, -1)])
        self.on_rows, self.on_columns = np.zeros((2, n, r * (len(self.curves) + 1)))

    def add(self, a: FloatArray, rows: slice, right: slice) -> None:
        """Add some rows of A."""
        self.on_rows[rows] += a @ self.w[right]
        self.on_columns[right] += a.T @ self.w[rows]

    def columns(self) -> FloatArray:
        """Return X U of the columns A (s_j - s_i), mirrored below the diagonal: (c, n, r)."""
        n, r = self.vectors.shape
        apart = (self.on_rows - self.on_columns).reshape(n, len(self.curves) + 1, r).swapaxes(0, 1)
        return np.asarray(apart[1:] - self.curves[:, :, None] * apart[:1])

    def plain(self) -> FloatArray:
        """Return A U, mirrored: (n, r)."""
        r = self.vectors.shape[1]
        return np.asarray((self.on_rows + self.on_columns)[:, :r])
