r"""Per-angle contrast and offset, eliminated by variable projection.

(G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 413, 1973, doi:10.1137/0710036.)

The scaling enters linearly: c_a = sum_k B_ak theta_k for the contrast and likewise for the offset,
where B (n_phi, m) is the identity (``individual``), a column of ones (``shared``), a Fourier
basis in phi (``fourier``) or has no columns at all (``fixed``). Given the pass's Gram matrices
the best theta is a small linear least-squares problem with bounds on c_a and o_a, and the
Hessian that the optimiser sees is the Schur complement of theta's block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, optimize

from homodyne_cli.core.gram_pass.gram_pass import AngleGrams
from homodyne_cli.core.numerics.gram import project_out, solve_gram
from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.parameters import PerAngleMode
from homodyne_cli.problem import Bounds

#: Relative distance to a bound at which contrast or offset counts as held by it: what the
#: least-distance solution leaves is a few hundred roundings.
_ACTIVE = 1e-9
#: Share of the trace added to the diagonal before a factorisation: makes an angle without contrast
#: solvable, and changes chi2 by less than rounding.
_RIDGE = 1e-14


@dataclass(frozen=True)
class ScalingModel:
    """How contrast and offset may vary over the angles.

    Attributes
    ----------
    basis
        (n_phi, m).
    fixed_contrast, fixed_offset
        (n_phi,) values that the basis adds to; zero unless the mode is ``fixed``.
    contrast_bounds, offset_bounds
        Hold for every angle.
    """

    basis: FloatArray
    fixed_contrast: FloatArray
    fixed_offset: FloatArray
    contrast_bounds: Bounds
    offset_bounds: Bounds

    @property
    def size(self) -> int:
        """Number of linear coefficients, contrast and offset together."""
        return 2 * int(self.basis.shape[1])


def scaling_model(
    mode: PerAngleMode,
    phi: FloatArray,
    *,
    order: int,
    contrast: FloatArray,
    offset: FloatArray,
    contrast_bounds: Bounds,
    offset_bounds: Bounds,
) -> ScalingModel:
    """Make the scaling model of a ``per_angle_mode``; contrast and offset serve ``fixed``."""
    n_phi = len(phi)
    zero = np.zeros(n_phi)
    held = (zero, zero)
    if mode == "fixed":
        basis, held = np.zeros((n_phi, 0)), (contrast, offset)
    elif mode == "shared":
        basis = np.ones((n_phi, 1))
    elif mode == "fourier" and 2 * order + 1 < n_phi:
        angle = np.deg2rad(phi)[:, None] * np.arange(1, order + 1)
        basis = np.hstack([np.ones((n_phi, 1)), np.cos(angle), np.sin(angle)])
    else:
        basis = np.eye(n_phi)
    return ScalingModel(basis, *held, contrast_bounds, offset_bounds)


@dataclass(frozen=True)
class Projection:
    """The best scaling at given parameters, in units of sigma.

    Attributes
    ----------
    contrast, offset
        (n_phi,).
    chi2
        Sum of w (r/sigma)^2 at that scaling.
    hessian
        (k, k) Gauss-Newton J^T J of [parameters (p), free scaling coefficients], with
        J = d(model)/d(...) / sigma.
    gradient
        (p,) J^T r for r = (model - y)/sigma; the scaling part vanishes by construction.
    contrast_directions, offset_directions
        (n_phi, k - p) how the free coefficients move contrast, and the same for offset.
    grams
        What it was made from, where it is as the pass gave it.
    """

    contrast: FloatArray
    offset: FloatArray
    chi2: float
    hessian: FloatArray
    gradient: FloatArray
    contrast_directions: FloatArray
    offset_directions: FloatArray
    grams: AngleGrams | None = None

    @cached_property
    def reduced_hessian(self) -> FloatArray:
        """(p, p) Schur complement: contrast and offset projected out, not held."""
        return project_out(self.hessian, np.arange(len(self.gradient)))

    def restricted(self, places: Sequence[int] | IndexArray) -> Projection:
        """Return the derivatives by some of the parameters; contrast and offset stay free."""
        keep = [*places, *range(len(self.gradient), len(self.hessian))]
        hessian = self.hessian[np.ix_(keep, keep)]
        return replace(self, hessian=hessian, gradient=self.gradient[list(places)])


def _normal_equations(
    grams: AngleGrams, model: ScalingModel, inverse_variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the (..., 2m, 2m) matrix and (..., 2m) right-hand side of the linear problem."""
    g = grams.gram * inverse_variance[:, None, None]
    ff, f1, one = g[..., -3, -3], g[..., -3, -2], g[..., -2, -2]
    fy, y1 = g[..., -3, -1] + grams.shift * f1, g[..., -2, -1] + grams.shift * one
    basis = model.basis
    c0, o0 = model.fixed_contrast, model.fixed_offset

    def block(weight: FloatArray) -> FloatArray:
        return np.asarray(basis.T @ (weight[..., None] * basis))

    matrix = np.block([[block(ff), block(f1)], [block(f1), block(one)]])
    right = np.concatenate(
        [(fy - c0 * ff - o0 * f1) @ basis, (y1 - c0 * f1 - o0 * one) @ basis], axis=-1
    )
    return matrix, right


def _constraints(model: ScalingModel) -> tuple[FloatArray, FloatArray]:
    """Return (rows, limits) of ``rows @ theta >= limits``: both bounds of both factors."""
    zero = np.zeros_like(model.basis)
    contrast, offset = np.hstack([model.basis, zero]), np.hstack([zero, model.basis])
    n_phi = len(model.basis)
    rows = np.vstack([contrast, -contrast, offset, -offset])
    c, o = model.contrast_bounds, model.offset_bounds
    limits = np.repeat([c.lower, -c.upper, o.lower, -o.upper], n_phi)
    return rows, limits


def _bounded_solution(
    matrix: FloatArray, free: FloatArray, rows: FloatArray, limits: FloatArray
) -> FloatArray:
    """Minimise (theta - free)^T matrix (theta - free) subject to rows @ theta >= limits.

    Least-distance programming (Lawson and Hanson 1974, chapter 23): with matrix = R^T R and
    z = R (theta - free) it is min |z| under G z >= h, which one non-negative least-squares
    problem answers.
    """
    ridge = _RIDGE * np.trace(matrix)
    upper = linalg.cholesky(matrix + ridge * np.eye(len(matrix)))
    g = linalg.solve_triangular(upper, rows.T, trans="T").T
    h = limits - rows @ free
    system = np.vstack([g.T, h])
    target = np.zeros(len(system))
    target[-1] = 1.0
    weights, _ = optimize.nnls(system, target)
    residual = system @ weights - target
    if abs(residual[-1]) < 1e-14:
        return free
    return np.asarray(free + linalg.solve_triangular(upper, -residual[:-1] / residual[-1]))


def _solve_scaling(
    grams: AngleGrams, model: ScalingModel, inverse_variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return theta (2m,) and the directions (2m, k) in which no bound is active."""
    matrix, right = _normal_equations(grams, model, inverse_variance)
    theta = solve_gram(matrix, right)
    rows, limits = _constraints(model)
    if np.all(rows @ theta >= limits):
        return theta, np.eye(len(theta))
    theta = _bounded_solution(matrix, theta, rows, limits)
    active = rows[rows @ theta < limits + _ACTIVE * (1.0 + np.abs(limits))]
    directions = linalg.null_space(active) if len(active) else np.eye(len(theta))
    return theta, np.asarray(directions)


def project(grams: AngleGrams, model: ScalingModel, sigma: FloatArray) -> Projection:
    """Eliminate contrast and offset from the pass's Gram matrices.

    Parameters
    ----------
    sigma
        (n_phi,) noise per c2 value.
    """
    inverse_variance = sigma**-2.0
    m = model.basis.shape[1]
    contrast, offset = model.fixed_contrast, model.fixed_offset
    directions = np.zeros((0, 0))
    if m:
        theta, directions = _solve_scaling(grams, model, inverse_variance)
        contrast, offset = model.basis @ theta[:m], model.basis @ theta[m:]
    toward_contrast = model.basis @ directions[:m]
    toward_offset = model.basis @ directions[m:]
    return _project_at(grams, contrast, offset, inverse_variance, (toward_contrast, toward_offset))


def project_costs(grams: AngleGrams, model: ScalingModel, sigma: FloatArray) -> FloatArray:
    """Return chi2 at the best scaling of each of many points, (n,), from `gram` (n, n_phi, 3, 3).

    Points whose scaling ends at a bound are projected one by one.
    """
    inverse_variance = sigma**-2.0
    m = model.basis.shape[1]
    matrix, right = _normal_equations(grams, model, inverse_variance)
    ridge = _RIDGE * np.trace(matrix, axis1=-2, axis2=-1)
    matrix += ridge[:, None, None] * np.eye(2 * m)
    residual = np.full((*grams.gram.shape[:-2], 3), -1.0)
    # Where the model overflows, chi2 is NaN.
    with np.errstate(invalid="ignore"):
        theta = np.linalg.solve(matrix, right[..., None])[..., 0]
        residual[..., 0] = model.fixed_contrast + theta[:, :m] @ model.basis.T
        residual[..., 1] = model.fixed_offset + theta[:, m:] @ model.basis.T - grams.shift
        weighted = residual * inverse_variance[:, None]
        chi2 = np.einsum("nak,nakl,nal->n", weighted, grams.gram, residual)
        rows, limits = _constraints(model)
        bounded = np.any(theta @ rows.T < limits, axis=1) if m else np.zeros(len(chi2), bool)
    for k in np.flatnonzero(bounded):
        chi2[k] = project(replace(grams, gram=grams.gram[k]), model, sigma).chi2
    return np.asarray(chi2)


def hold(
    grams: AngleGrams, contrast: FloatArray, offset: FloatArray, sigma: FloatArray
) -> Projection:
    """Evaluate cost and derivatives at a given scaling, not moved."""
    none = np.zeros((len(sigma), 0))
    return _project_at(grams, contrast, offset, sigma**-2.0, (none, none))


def project_along(grams: AngleGrams, at: Projection, sigma: FloatArray) -> Projection:
    """Evaluate at the scaling, and with the free scaling directions, of an earlier projection."""
    directions = (at.contrast_directions, at.offset_directions)
    return _project_at(grams, at.contrast, at.offset, sigma**-2.0, directions)


def _project_at(
    grams: AngleGrams,
    contrast: FloatArray,
    offset: FloatArray,
    inverse_variance: FloatArray,
    directions: tuple[FloatArray, FloatArray],
) -> Projection:
    g = grams.gram * inverse_variance[:, None, None]
    n_phi, size = g.shape[0], g.shape[1]
    p = size - 3
    residual = np.zeros((n_phi, size))
    residual[:, -3], residual[:, -2], residual[:, -1] = contrast, offset - grams.shift, -1.0
    projected = np.einsum("akl,al->ak", g, residual)
    chi2 = float(np.einsum("ak,ak->", residual, projected))
    k = directions[0].shape[1]
    columns = np.zeros((n_phi, size, p + k))
    columns[:, np.arange(p), np.arange(p)] = contrast[:, None]
    columns[:, -3, p:], columns[:, -2, p:] = directions
    moved = (g @ columns).reshape(n_phi * size, p + k)
    hessian = columns.reshape(n_phi * size, p + k).T @ moved
    gradient = np.einsum("aki,ak->i", columns, projected)
    return Projection(
        contrast, offset, max(chi2, 0.0), hessian, gradient[:p], directions[0], directions[1]
    )
