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

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.core.noise.covariance_operator import block_sums
from homodyne_cli.dataset import FloatArray, IndexArray

#: Whether pairs have data.
Presence: TypeAlias = NDArray[np.bool_]

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


@dataclass(frozen=True)
class CurveMaps:
    """Columns taken apart, and their sums over pairs.

    Attributes
    ----------
    odd
        Maps (n, n) A of the curves of transport and, with shear, of those of strain: above the
        diagonal, -A' below it.
    curves
        Those of transport (c, n) and of strain, with what is the same for all pairs.
    even
        (n, n) f, symmetric, zero on the diagonal.
    plain
        (k, k + 2) as in `ColumnProducts`.
    """

    odd: FloatArray
    curves: tuple[FloatArray, FloatArray]
    even: FloatArray
    plain: FloatArray

    def products(self, vectors: FloatArray) -> ColumnProducts:
        """Return sums and thin products with U (n, r)."""
        thin = [_thin_columns(a, c, vectors) for a, c in zip(self.odd, self.curves, strict=False)]
        return ColumnProducts(np.concatenate([*thin, (self.even @ vectors)[None]]), self.plain)

    def block_sums(self, size: int) -> FloatArray:
        """Return the columns summed over blocks of frames, (k, m, m); the last may be left out."""
        sums = [_column_sums(a, c, size) for a, c in zip(self.odd, self.curves, strict=False)]
        whole = len(self.even) // size * size
        return np.concatenate([*sums, block_sums(self.even[:whole, :whole], size)[None]])


def f_products(
    model: PairModel, vectors: FloatArray, values: FloatArray, present: Presence | None
) -> ColumnProducts:
    """Return the products of f alone; arguments as below."""
    even, plain = np.empty_like(values, dtype=float), np.zeros((1, 3))
    for rows, right in slabs(len(values)):
        i, j = _frames(rows, right)
        f = _known(model.f(i, j), present, rows, right)
        _write_mirrored(even, f, rows, right, 1.0)
        plain += np.array([np.vdot(f, f), f.sum(), np.vdot(f, values[rows, right])])
    return ColumnProducts((even @ vectors)[None], plain)


def curve_maps(
    model: PairModel,
    curves: ModelCurves,
    factors: tuple[float, float, float],
    values: FloatArray,
    present: Presence | None,
) -> CurveMaps:
    """Take the columns [df/dp of all parameters, f] apart.

    Parameters
    ----------
    factors
        q in 1/Å and kappa of the angle, and the derivative of kappa by phi0.
    values
        (n, n) data above the diagonal, zero where there are none.
    present
        (n, n) whether a pair has data; None for all of them.
    """
    transport, strain = factored(curves, *factors)
    n_t, n_s, m = len(transport), len(strain), len(values)
    n_d = n_t + n_s
    plain = np.zeros((n_d + 1, n_d + 3))
    # Whole maps: two large products are twice as fast as many small ones that are added up.
    odd = np.empty((1 + (n_s > 0), m, m))
    rising = bool(np.all(np.diff(model.decay) >= 0.0))
    even = None if rising else np.empty((m, m))
    kinds = [(slice(0, n_t), transport), (slice(n_t, n_d), strain)][: len(odd)]
    for rows, right in slabs(m):
        i, j = _frames(rows, right)
        g, v = model.with_slope(i, j)
        f = _known(np.square(g, out=g), present, rows, right)
        along = f if rising else f * np.sign(model.decay[j] - model.decay[i])
        parts = [along, _known(v, present, rows, right)][: len(odd)]
        for whole, a in zip(odd, parts, strict=True):
            _write_mirrored(whole, a, rows, right, -1.0)
        if even is not None:
            _write_mirrored(even, f, rows, right, 1.0)
        y = values[rows, right]
        ends = [_Ends.of(curve, rows, right) for _, curve in kinds]
        for k, ((place, _), a) in enumerate(zip(kinds, parts, strict=True)):
            plain[place, n_d] += ends[k].sums(a * f)
            plain[place, n_d + 1] += ends[k].sums(a)
            plain[place, n_d + 2] += ends[k].sums(a * y)
            for other in range(k + 1):
                crossed = ends[other].products(a * parts[other], ends[k])
                plain[kinds[other][0], place] += crossed
        plain[n_d, n_d:] += np.array([np.vdot(f, f), f.sum(), np.vdot(f, y)])
    plain[n_t:n_d, :n_t] = plain[:n_t, n_t:n_d].T
    plain[n_d, :n_d] = plain[:n_d, n_d]
    return CurveMaps(odd, (transport, strain), np.abs(odd[0]) if even is None else even, plain)


@dataclass(frozen=True)
class _Ends:
    """Curves (c) at the rows and at the columns of a slab, counted from its first frame."""

    rows: FloatArray
    columns: FloatArray

    @classmethod
    def of(cls, curves: FloatArray, rows: slice, right: slice) -> _Ends:
        centre = curves[:, rows.start, None]
        return cls(curves[:, rows] - centre, curves[:, right] - centre)

    def sums(self, p: FloatArray) -> FloatArray:
        """Return sum P (s_j - s_i) for a map P, (c,)."""
        return np.asarray(self.columns @ p.sum(axis=0) - self.rows @ p.sum(axis=1))

    def products(self, p: FloatArray, other: _Ends) -> FloatArray:
        """Return sum P (s_j - s_i) (t_j - t_i) for the curves t of others, (c, d)."""
        out = (self.columns * p.sum(axis=0)) @ other.columns.T
        out += (self.rows * p.sum(axis=1)) @ other.rows.T
        out -= self.rows @ (p @ other.columns.T)
        out -= (self.columns @ p.T) @ other.rows.T
        return np.asarray(out)


def slabs(m: int) -> list[tuple[slice, slice]]:
    """Return rows of a map, a few at a time, and the columns from the first of them on."""
    step = max(SLAB_PAIRS // m, 1)
    return [(slice(top, min(top + step, m)), slice(top, m)) for top in range(0, m, step)]


def mask(present: Presence | None, rows: slice, right: slice) -> FloatArray:
    """Return 1 above the diagonal where there are data, else 0."""
    if present is not None:
        return present[rows, right].astype(float)
    above = np.arange(right.start, right.stop) > np.arange(rows.start, rows.stop)[:, None]
    return above.astype(float)


def factored(
    curves: ModelCurves, q: float, kappa: float, kappa_slope: float
) -> tuple[FloatArray, FloatArray]:
    """Return the curves of transport and of strain, with what is the same for all pairs."""
    transport = -(q**2) * curves.transport_slopes
    if not len(curves.strain_slopes):
        return transport, np.zeros((0, transport.shape[1]))
    strain = np.concatenate([kappa * curves.strain_slopes, kappa_slope * curves.strain[None]])
    return transport, strain


def _frames(rows: slice, right: slice) -> tuple[IndexArray, IndexArray]:
    return np.arange(rows.start, rows.stop)[:, None], np.arange(right.start, right.stop)


def _known(a: FloatArray, present: Presence | None, rows: slice, right: slice) -> FloatArray:
    """Set pairs without data, and those not above the diagonal, to zero, in place."""
    if present is None:
        size = rows.stop - rows.start
        a[:, :size][np.tri(size, dtype=bool)] = 0.0
    else:
        a *= present[rows, right]
    return a


def _write_mirrored(
    whole: FloatArray, a: FloatArray, rows: slice, right: slice, sign: float
) -> None:
    """Write rows of a map that is zero below its diagonal, and its mirror image times a sign."""
    size = rows.stop - rows.start
    square = a[:, :size]
    whole[rows, rows] = square + sign * square.T
    whole[rows, rows.stop : right.stop] = a[:, size:]
    np.multiply(a[:, size:].T, sign, out=whole[rows.stop : right.stop, rows])


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


def _column_sums(odd: FloatArray, curves: FloatArray, size: int) -> FloatArray:
    """Return block sums of the columns A (s_j - s_i), mirrored below the diagonal: (c, m, m)."""
    by_columns = _block_products(odd, curves, size)
    # A below the diagonal is minus its mirror image: so are its sums with curves of the rows.
    return np.asarray(by_columns[1:] + by_columns[1:].swapaxes(1, 2))


def _block_products(a: FloatArray, curves: FloatArray, size: int) -> FloatArray:
    """Return sums of A and of A s_j over blocks of rows and columns, (1 + c, m, m)."""
    m = len(a) // size
    whole = m * size
    dressed = np.concatenate([np.ones((1, whole)), curves[:, :whole]])
    blocks = a[:whole, :whole].reshape(whole, m, size).swapaxes(0, 1)
    over_columns = blocks @ dressed.reshape(-1, m, size).transpose(1, 2, 0)
    return np.asarray(over_columns.reshape(m, m, size, -1).sum(axis=2).transpose(2, 1, 0))
