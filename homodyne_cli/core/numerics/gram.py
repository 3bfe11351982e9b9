r"""Algebra of Gram matrices J^T J, and one policy on their rank.

The columns of J are as different in length as the units of the parameters, so every matrix is first
brought to unit diagonal: J^T J = N U N with N the lengths of the columns. The eigenvalues of U lie
between 0 and its size; a direction with eigenvalue v is known 1/sqrt(v) times worse than its
parameters would be with all others known. Nothing else is asked about rank than:

- a column counts as absent if the parameter changes the model by less than `NO_EFFECT` standard
  deviations over the whole width of its bounds: what its derivatives say is rounding;
- a direction counts as singular, in steps and in solutions of linear systems, if its eigenvalue is
  below `SINGULAR` of the largest: rounding alone makes a tenth of that in a matrix of fifty
  columns, and whatever is above may help, because a step that goes wrong is not taken;
- a direction counts as undetermined, in every statement about uncertainty, if its eigenvalue is
  below `UNDETERMINED`: its standard deviation is 10^5 times that of the parameters on their own.

Solutions are the shortest in units in which the columns have length one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from homodyne_cli.dataset import FloatArray, IndexArray

NO_EFFECT, SINGULAR, UNDETERMINED = 1e-6, 1e-13, 1e-10

#: Smallest pivot of the unit-diagonal form that a triangular factor is good enough for: its square
#: bounds the eigenvalue, and eight digits are left of sixteen.
_SAFE_PIVOT = 1e-4
#: Room that a bounded step keeps to a bound at which it starts: BVLS wants an interior.
_TINY = 1e-300


@dataclass(frozen=True)
class PseudoInverse:
    """The inverse of a Gram matrix where it has one.

    `matrix` is (m, m), zero along the (m, k) `null` directions, which are in units `scale` (m,) in
    which the columns have length one.
    """

    matrix: FloatArray
    null: FloatArray
    scale: FloatArray


def column_norms(gram: FloatArray) -> FloatArray:
    """Return (m,) the lengths of the columns of J."""
    return np.sqrt(np.maximum(np.diag(gram), 0.0))


def without_effect(gram: FloatArray, width: FloatArray) -> np.ndarray:
    """Return (p,) whether the data do not depend on a parameter anywhere inside its bounds."""
    norm = column_norms(gram)
    return np.asarray(norm * np.where(norm > 0.0, width, 1.0) < NO_EFFECT)


def condition_number(gram: FloatArray, x_scale: FloatArray | None = None) -> float:
    """Return the condition number of the (scaled) Jacobian.

    The unit-diagonal form is factored first: with columns of very different lengths the
    eigenvalues of the matrix itself would drown in rounding.
    """
    root = square_root(gram)
    values = np.linalg.svd(root if x_scale is None else root * x_scale, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0.0 else float("inf")


def square_root(gram: FloatArray) -> FloatArray:
    """Return R (m, m) with R^T R = gram."""
    unit, norm = _unit_diagonal(gram)
    values, vectors = np.linalg.eigh(unit)
    return np.asarray((np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) * norm)


def pseudo_inverse(
    gram: FloatArray, norm: FloatArray | None = None, least: float = UNDETERMINED
) -> PseudoInverse:
    """Invert a Gram matrix outside its undetermined directions.

    Parameters
    ----------
    norm
        (m,) lengths of the columns before others were projected out of them; None if none were.
    least
        Eigenvalue, in units in which those lengths are one, below which a direction is left out.
    """
    unit, norm = _unit_diagonal(gram, norm)
    values, vectors = np.linalg.eigh(unit)
    good = values > least
    roots = _roots(values[good], vectors[:, good], norm)
    scale = 1.0 / np.where(norm > 0.0, norm, 1.0)
    return PseudoInverse(roots @ roots.T, vectors[:, ~good], scale)


def solve_gram(gram: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a system whose matrix is a Gram matrix; take the shortest answer where it is singular.

    Parameters
    ----------
    gram, right
        (m, m) positive semidefinite, and (m,) or (m, k); m may be zero.
    """
    if len(gram) == 0:
        return right
    unit, norm = _unit_diagonal(gram)
    if np.all(norm > 0.0):
        factor, failed = linalg.lapack.dpotrf(unit)
        if failed == 0 and np.all(np.diag(factor) > _SAFE_PIVOT):
            scale = norm if right.ndim == 1 else norm[:, None]
            return np.asarray(linalg.lapack.dpotrs(factor, right / scale)[0] / scale)
    values, vectors = np.linalg.eigh(unit)
    good = values > SINGULAR * values[-1:]
    roots = _roots(values[good], vectors[:, good], norm)
    return np.asarray(roots @ (roots.T @ right))


def project_out(gram: FloatArray, keep: Sequence[int] | IndexArray) -> FloatArray:
    """Return the Gram matrix of some columns with all others projected out, not held."""
    kept = np.asarray(keep, dtype=np.intp)
    rest = np.setdiff1d(np.arange(len(gram)), kept)
    inner, cross = gram[np.ix_(kept, kept)], gram[np.ix_(kept, rest)]
    if len(rest) == 0:
        return inner
    schur = inner - cross @ solve_gram(gram[np.ix_(rest, rest)], cross.T)
    return np.asarray(0.5 * (schur + schur.T))


def gauss_newton_step(
    gram: FloatArray,
    gradient: FloatArray,
    room_below: FloatArray,
    room_above: FloatArray,
) -> tuple[FloatArray, float]:
    """Return one undamped Gauss-Newton step within bounds and the chi2 decrease it predicts.

    Parameters
    ----------
    gram, gradient
        J^T J and J^T r with weighted r and J, contrast and offset projected out.
    room_below, room_above
        Distances to the bounds (inf where there is none), non-negative.

    Notes
    -----
    The expected distance to the minimum of MINUIT, r^T J (J^T J)^-1 J^T r. Directions without
    any sensitivity cannot decrease chi2 and are left out.
    """
    full = np.zeros(len(gradient))
    live = ~without_effect(gram, room_below + room_above)
    if not np.any(live):
        return full, 0.0
    unit, norm = _unit_diagonal(gram[np.ix_(live, live)])
    slope = gradient[live] / norm
    values, vectors = np.linalg.eigh(unit)
    keep = values > SINGULAR * values[-1]
    root = np.sqrt(values[keep])[:, None] * vectors[:, keep].T
    target = -(vectors[:, keep].T @ slope) / np.sqrt(values[keep])
    lower, upper = -room_below[live] * norm, room_above[live] * norm
    step = vectors[:, keep] @ (target / np.sqrt(values[keep]))
    if np.any(step < lower) or np.any(step > upper):
        # It takes longer to import than most steps need it.
        from scipy import optimize

        box = (np.minimum(lower, -_TINY), np.maximum(upper, _TINY))
        # BVLS divides by singular values that are rounding; a little weight on the length of the
        # step keeps it from going far along what the data do not see.
        ridge = np.sqrt(SINGULAR * values[-1]) * np.eye(len(norm))
        system, right = np.vstack([root, ridge]), np.append(target, np.zeros(len(norm)))
        step = optimize.lsq_linear(system, right, bounds=box, method="bvls").x
    full[live] = step / norm
    return full, float(max(0.0, -(2.0 * slope @ step + step @ unit @ step)))


def _unit_diagonal(
    gram: FloatArray, norm: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the matrix with unit diagonal, zero where a column is, and the lengths."""
    if norm is None:
        norm = column_norms(gram)
    safe = np.where(norm > 0.0, norm, 1.0)
    return gram / np.outer(safe, safe), norm


def _roots(values: FloatArray, vectors: FloatArray, norm: FloatArray) -> FloatArray:
    """Return V with V V^T the inverse over some eigenvectors of the unit-diagonal form."""
    return np.asarray(vectors / np.sqrt(values) / np.where(norm > 0.0, norm, 1.0)[:, None])
