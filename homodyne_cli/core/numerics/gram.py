"""Algebra of Gram matrices: one rank policy for steps, solutions and condition numbers."""

from __future__ import annotations

import numpy as np
from scipy import linalg, optimize

from homodyne_cli.dataset import FloatArray

_RANK_TOLERANCE = 1e-13

#: Smallest pivot of the unit-diagonal form that a triangular factor is good enough for.
_SAFE_PIVOT = 1e-4

#: A parameter that changes no more than this share of a standard deviation of the data over the
#: whole width of its bounds has no effect; what its derivatives say is rounding.
_NO_EFFECT = 1e-6


def without_effect(hessian: FloatArray, width: FloatArray) -> np.ndarray:
    """Return (p,) whether the data do not depend on a parameter anywhere inside its bounds."""
    norm = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    return np.asarray(
        np.where(norm > 0.0, norm, 1e-300) * np.where(norm > 0.0, width, 1.0) < _NO_EFFECT
    )


def condition_number(hessian: FloatArray, x_scale: FloatArray | None = None) -> float:
    """Return the condition number of the (scaled) Jacobian, from its Gram matrix.

    The Gram matrix of unit columns is factored first: with columns of very different lengths the
    eigenvalues of the matrix itself would drown in rounding.
    """
    root = square_root(hessian)
    values = np.linalg.svd(root if x_scale is None else root * x_scale, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0.0 else float("inf")


def solve_gram(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a system whose matrix is a Gram matrix; take the shortest answer where it is singular.

    Parameters
    ----------
    matrix, right
        (m, m) positive semidefinite, and (m,) or (m, k).
    """
    norm = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    if np.all(norm > 0.0):
        factor, failed = linalg.lapack.dpotrf(matrix / np.outer(norm, norm))
        if failed == 0 and np.diag(factor).min() > _SAFE_PIVOT:
            scale = norm if right.ndim == 1 else norm[:, None]
            return np.asarray(linalg.lapack.dpotrs(factor, right / scale)[0] / scale)
    return np.asarray(linalg.lstsq(matrix, right, cond=1e-12, check_finite=False)[0])


def square_root(hessian: FloatArray) -> FloatArray:
    """Return R (p, p) with R^T R = hessian, of the unit-diagonal form for accuracy."""
    norm = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    safe = np.where(norm > 0.0, norm, 1.0)
    values, vectors = np.linalg.eigh(hessian / np.outer(safe, safe))
    return np.asarray((np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) * norm)


def gauss_newton_step(
    hessian: FloatArray,
    gradient: FloatArray,
    room_below: FloatArray,
    room_above: FloatArray,
) -> tuple[FloatArray, float]:
    """Return one undamped Gauss-Newton step within bounds and the chi2 decrease it predicts.

    Parameters
    ----------
    hessian, gradient
        J^T J and J^T r with weighted r and J, contrast and offset projected out.
    room_below, room_above
        Distances to the bounds (inf where there is none), non-negative.

    Notes
    -----
    The expected distance to the minimum of MINUIT, r^T J (J^T J)^-1 J^T r. Directions without
    any sensitivity cannot decrease chi2 and are left out.
    """
    full = np.zeros(len(gradient))
    norm = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    live = ~without_effect(hessian, room_below + room_above)
    if not np.any(live):
        return full, 0.0
    norm = norm[live]
    unit = hessian[np.ix_(live, live)] / np.outer(norm, norm)
    slope = gradient[live] / norm
    values, vectors = np.linalg.eigh(unit)
    keep = values > _RANK_TOLERANCE * values[-1]
    root = np.sqrt(values[keep])[:, None] * vectors[:, keep].T
    target = -(vectors[:, keep].T @ slope) / np.sqrt(values[keep])
    lower, upper = -room_below[live] * norm, room_above[live] * norm
    step = vectors[:, keep] @ (target / np.sqrt(values[keep]))
    if np.any(step < lower) or np.any(step > upper):
        tiny = 1e-300
        box = (np.minimum(lower, -tiny), np.maximum(upper, tiny))
        # BVLS divides by singular values that are rounding; a little weight on the length of the
        # step keeps it from going far along what the data do not see.
        still = np.sqrt(_RANK_TOLERANCE * values[-1]) * np.eye(len(norm))
        system, right = np.vstack([root, still]), np.append(target, np.zeros(len(norm)))
        step = optimize.lsq_linear(system, right, bounds=box, method="bvls").x
    full[live] = step / norm
    return full, float(max(0.0, -(2.0 * slope @ step + step @ unit @ step)))
