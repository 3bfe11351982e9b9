r"""Inverse of the main part of the noise covariance, exact for pairs that are absent.

The main part takes weights V on the pairs present (symmetric, zero elsewhere) to S V S on them.
With B on the present pairs, the V that solves S V S = B there is

    V = T (B + D) T,    T = S^-1

where D lives on the absent pairs (the diagonal always) and makes V vanish there: D is the best
prediction, times -1, of what would stand at pairs that were not measured. With <A, B> the sum over
present pairs and [.]_0 the values at absent ones,

    <A, V> = tr(A T B T) / 2 - [T A T]_0' N^-1 [T B T]_0,    N d = [T D T]_0

so that the n^2/2 unknowns reduce to the absent pairs. N is factored where the diagonal
alone is absent; with gaps it is nearly diagonal still (condition number below 10), and conjugate
gradients solve it.

S = c F + w I is c times the strongest eigenvectors of F (columns of U) plus a multiple of one,
which is w and the mean of the eigenvalues left out: those below 0.1 w / c. Weights would do with
fewer, but uncertainties are stated by the same S: without those below 0.3 w / c they come out 7%
too small, without those below 0.1 w / c 1% (23 angles of 1,000 frames). Then with a diagonal E
T = (I - U E U') / base, and all that is ever needed of a map X is the thin product X U.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from homodyne_cli.dataset import FloatArray, IndexArray

#: Eigenvalues of c F below this share of w do not change weights.
_STRONG = 0.1
#: What is left of f at any frame, over the smallest eigenvalue that is kept (or over 1).
_RESOLVED = 0.1
_TOLERANCE, _STEPS = 1e-10, 200


@dataclass(frozen=True)
class Sketch:
    """What the inverse needs to know of maps X (k, n, n), zero at absent pairs.

    Attributes
    ----------
    thin
        (k, n, r) X U.
    core
        (k, r, r) U' X U.
    absent
        (k, m) [T X T]_0, times base^2.
    """

    thin: FloatArray
    core: FloatArray
    absent: FloatArray

    def followed_by(self, other: Sketch, count: int) -> Sketch:
        """Return these maps and the first few of others."""
        pairs = ((getattr(self, n), getattr(other, n)) for n in ("thin", "core", "absent"))
        return Sketch(*(np.concatenate([left, right[:count]]) for left, right in pairs))


@dataclass(frozen=True)
class PairPrecision:
    """The inverse of V -> S V S over the pairs present.

    Attributes
    ----------
    vectors
        (n, r) U, orthonormal.
    shrink
        (r,) diagonal of E.
    base
        Of S outside U.
    i, j
        (m,) absent pairs i <= j, the diagonal first.
    """

    vectors: FloatArray
    shrink: FloatArray
    base: float
    i: IndexArray
    j: IndexArray

    def sketch(self, thin: FloatArray) -> Sketch:
        """Return the sketch of maps whose products with U are given."""
        core = self.vectors.T @ thin
        return Sketch(thin, core, self._absent_values(thin, core))

    def inner(self, plain: FloatArray, left: Sketch, right: Sketch) -> FloatArray:
        """Return <X, C0^-1 Y> for maps X (k) and Y (l), (k, l).

        Parameters
        ----------
        plain
            (k, l) sums of X Y over pairs.
        """
        filled = (left.absent * self._measure) @ self._solve_absent(right.absent).T
        return np.asarray((_form(plain, left, right, self.shrink) - filled) / self.base**2)

    def main(self, plain: FloatArray, left: Sketch, right: Sketch) -> FloatArray:
        """Return <X, C0 Y> for the same maps: S is base (I + U E / (1 - E) U')."""
        grown = -self.shrink / (1.0 - self.shrink)
        return _form(plain, left, right, grown) * self.base**2

    def weights(self, maps: FloatArray) -> FloatArray:
        """Return C0^-1 X, (k, n, n)."""
        known = self.sketch(maps @ self.vectors)
        filled = maps - self._spread(self._solve_absent(known.absent))
        left = filled - self.vectors @ (self.shrink[:, None] * (self.vectors.T @ filled))
        out = left - (left @ self.vectors * self.shrink) @ self.vectors.T
        out[:, self.i, self.j] = out[:, self.j, self.i] = 0.0
        return np.asarray(out / self.base**2)

    def block_weights(self, sums: FloatArray, sketch: Sketch, size: int) -> FloatArray:
        """Return block sums of C0^-1 X, (k, m, m), without ever forming it.

        Parameters
        ----------
        sums
            (k, m, m) block sums of X.
        sketch
            Of X.
        size
            Frames in a block; the last frames that fill none are left out.
        """
        e, whole = self.shrink, sums.shape[-1] * size
        u = self.vectors[:whole].reshape(whole // size, size, len(e)).sum(axis=1)
        inside = (self.i < whole) & (self.j < whole)
        i, j = self.i[inside], self.j[inside]
        apart, out = i != j, sums.copy()
        i, j = i // size, j // size
        # One map after the other, as above.
        absent = self._solve_absent(sketch.absent)
        for one, thin, d in zip(out, sketch.thin, absent, strict=True):
            filled = thin - self._spread_thin(d[None])[0]
            along = e * filled[:whole].reshape(whole // size, size, len(e)).sum(axis=1)
            values = d[inside]
            np.subtract.at(one, (i, j), values)
            np.subtract.at(one, (j[apart], i[apart]), values[apart])
            crossed = along @ u.T
            core = (self.vectors.T @ filled) * np.outer(e, e)
            one += u @ core @ u.T - crossed - crossed.T
        return np.asarray(out / self.base**2)

    @property
    def _measure(self) -> FloatArray:
        """Return (m,) how often a pair stands among the pairs i <= j of a full matrix, halved."""
        return np.where(self.i == self.j, 0.5, 1.0)

    def _absent_values(self, thin: FloatArray, core: FloatArray) -> FloatArray:
        """Return [T X T]_0 times base^2, X itself being zero there: (k, m)."""
        e, i, j = self.shrink, self.i, self.j
        # -(U E A')_ij - (A E U')_ij + (U E B E U')_ij, with A = X U and B = U' X U.
        u, half, out = self.vectors, 0.5 * np.outer(e, e), np.empty((len(thin), len(i)))
        # One map after the other: what is made on the way is as large as all maps together.
        for along, inside, absent in zip(thin, core, out, strict=True):
            folded = along * e
            folded -= u @ (inside * half)
            if self._only_diagonal:
                absent[:] = -2.0 * np.einsum("mr,mr->m", folded, u)
            else:
                absent[:] = -np.einsum("mr,mr->m", folded[i], u[j])
                absent -= np.einsum("mr,mr->m", folded[j], u[i])
        return out

    def _spread(self, values: FloatArray) -> FloatArray:
        """Return symmetric maps that hold values (k, m) at the absent pairs."""
        n = len(self.vectors)
        out = np.zeros((len(values), n, n))
        out[:, self.i, self.j] = out[:, self.j, self.i] = values
        return out

    def _spread_thin(self, values: FloatArray) -> FloatArray:
        """Return the products of such maps with U, (k, n, r)."""
        if self._only_diagonal:
            return np.asarray(values[:, :, None] * self.vectors)
        n, apart = len(self.vectors), self.i != self.j
        rows = np.concatenate([self.i, self.j[apart]])
        columns = np.concatenate([self.j, self.i[apart]])
        maps = (
            sparse.coo_array((np.concatenate([v, v[apart]]), (rows, columns)), shape=(n, n))
            for v in values
        )
        return np.stack([one @ self.vectors for one in maps])

    @property
    def _only_diagonal(self) -> bool:
        """Whether every pair of different frames has data."""
        return len(self.i) == len(self.vectors)

    @cached_property
    def _factor(self) -> FloatArray:
        """Return the Cholesky factor (n, n) of N times base^2 where only the diagonal is absent."""
        inverse = -(self.vectors * self.shrink) @ self.vectors.T
        inverse[self.i, self.i] += 1.0
        squares = np.square(inverse, out=inverse)
        return np.asarray(
            linalg.cholesky(squares, lower=True, overwrite_a=True, check_finite=False)
        )

    def _apply_absent(self, values: FloatArray) -> FloatArray:
        """Return N d times base^2 for d (k, m)."""
        thin = self._spread_thin(values)
        return values + self._absent_values(thin, self.vectors.T @ thin)

    def _solve_absent(self, right: FloatArray) -> FloatArray:
        """Return N^-1 b over base^2 for b (k, m), by conjugate gradients if there are gaps."""
        if self._only_diagonal:
            solved = linalg.cho_solve((self._factor, True), right.T, check_finite=False)
            return np.asarray(solved.T)
        e, u = self.shrink, self.vectors
        diagonal = 1.0 - (u * u) @ e
        crossed = np.einsum("mr,r,mr->m", u[self.i], e, u[self.j])
        scale = diagonal[self.i] * diagonal[self.j] + np.where(self.i == self.j, 0.0, crossed**2)
        measure = self._measure
        x, residual = np.zeros_like(right), right.copy()
        z = residual / scale
        direction, rz = z, np.einsum("km,km,m->k", residual, z, measure)
        enough = _TOLERANCE**2 * rz
        for _ in range(_STEPS):
            if np.all(rz <= enough):
                break
            moved = self._apply_absent(direction)
            length = np.einsum("km,km,m->k", direction, moved, measure)
            step = np.divide(rz, length, out=np.zeros_like(rz), where=length > 0.0)[:, None]
            x, residual = x + step * direction, residual - step * moved
            z = residual / scale
            previous, rz = rz, np.einsum("km,km,m->k", residual, z, measure)
            ratio = np.divide(rz, previous, out=np.zeros_like(rz), where=previous > 0.0)
            direction = z + ratio[:, None] * direction
        return x


def _form(plain: FloatArray, left: Sketch, right: Sketch, e: FloatArray) -> FloatArray:
    """Return tr(X (I - U E U') Y (I - U E U')) / 2."""
    crossed = _dots(left.thin * e, right.thin)
    return plain - crossed + 0.5 * _dots(left.core * np.outer(e, e), right.core)


def _dots(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)


def pair_precision(
    f: FloatArray,
    contrast: float,
    photon_noise: float,
    present: FloatArray | NDArray[np.bool_] | None = None,
) -> PairPrecision:
    """Prepare the inverse for one angle.

    Parameters
    ----------
    f
        (n, n) squared field correlation.
    photon_noise
        w, above zero.
    present
        (n, n) whether a pair has data, the diagonal aside; None for all.
    """
    values, vectors = _strongest(f, _STRONG * photon_noise / contrast)
    n, r = len(f), len(values)
    rest = max(float(np.trace(f)) - float(values.sum()), 0.0) / max(n - r, 1)
    base = photon_noise + (contrast * rest if r < n else 0.0)
    shrink = 1.0 - base / (contrast * values + photon_noise)
    return PairPrecision(vectors, shrink, base, *absent_pairs(present, n))


def absent_pairs(
    present: FloatArray | NDArray[np.bool_] | None, n: int
) -> tuple[IndexArray, IndexArray]:
    """Return the absent pairs i <= j among n frames, the diagonal first."""
    i, j = np.arange(n), np.arange(n)
    if present is None:
        return i, j
    pairs = np.nonzero(np.triu(np.equal(present, 0), 1))
    return np.concatenate([i, pairs[0]]), np.concatenate([j, pairs[1]])


def _strongest(f: FloatArray, threshold: float) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues above the threshold, and their vectors (n, r).

    From a pivoted Cholesky factor, which costs n times the square of its rank.
    """
    left, rows = np.diag(f).copy(), np.zeros((len(f), len(f)))
    enough, rank = min(_RESOLVED * threshold, _RESOLVED), 0
    while rank < len(f):
        pivot = int(np.argmax(left))
        if left[pivot] < enough:
            break
        row = f[pivot] - rows[:rank, pivot] @ rows[:rank]
        rows[rank] = row / np.sqrt(left[pivot])
        left -= rows[rank] ** 2
        rank += 1
    values, vectors = np.linalg.eigh(rows[:rank] @ rows[:rank].T)
    kept = values > threshold
    rotated = vectors[:, kept] / np.sqrt(values[kept])
    return values[kept], np.ascontiguousarray((rotated.T @ rows[:rank]).T)
