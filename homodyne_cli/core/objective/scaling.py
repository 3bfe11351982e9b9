r"""Contrast and offset of the angles: how they may vary, and the best ones at given parameters.

Both enter the model linearly, so the best ones solve a small least-squares problem with bounds.
Maps of a group have the same, two unknowns a group, solved apart: a group is a map (``individual``)
or all maps of a ring (``shared``), and repeats of these are groups of their own unless they share
theirs. Otherwise they are smooth in phi on a ring (``fourier``): c_a = sum_k B_ak theta_k with a
basis B (n_phi, m) and likewise for the offset, or given (``fixed``), a basis without columns.

Two unknowns in a box need no solver: either the free solution is inside, or the best point lies on
one of the four edges, each of which is a problem of one unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from homodyne_cli.core.gram_pass.pass_spec import AngleGrams
from homodyne_cli.core.numerics.arrow import Arrow, Spread, invert_blocks
from homodyne_cli.core.numerics.gram import solve_gram
from homodyne_cli.dataset import FloatArray, IndexArray, Rows
from homodyne_cli.parameters import PerAngleMode, PerRepeatMode
from homodyne_cli.problem import Bounds

#: Relative distance to a bound at which contrast or offset counts as held by it: what the
#: least-distance solution leaves is a few hundred roundings.
_ACTIVE = 1e-9
#: Share of the trace added to the diagonal before a factorisation: makes an angle without contrast
#: solvable, and changes chi2 by less than rounding.
_RIDGE = 1e-14
#: Decimals of a degree up to which repeats have the same angle.
_SAME_ANGLE = 3


@dataclass(frozen=True)
class ScalingModel:
    """How contrast and offset may vary over the angles.

    Attributes
    ----------
    basis
        (n_phi, m); None where each group has its own.
    groups
        (n_phi,) which group a map is of, from 0.
    fixed_contrast, fixed_offset
        (n_phi,) values that the basis adds to; zero unless the mode is ``fixed``.
    contrast_bounds, offset_bounds
        Hold for every angle.
    """

    basis: FloatArray | None
    groups: IndexArray
    fixed_contrast: FloatArray
    fixed_offset: FloatArray
    contrast_bounds: Bounds
    offset_bounds: Bounds

    @property
    def size(self) -> int:
        """Number of linear coefficients, contrast and offset together."""
        return 2 * (self.n_groups if self.basis is None else self.basis.shape[1])

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """(2,) lower and upper bounds of contrast and offset."""
        c, o = self.contrast_bounds, self.offset_bounds
        return np.array([c.lower, o.lower]), np.array([c.upper, o.upper])


def scaling_groups(mode: PerAngleMode, rows: Rows, repeats: PerRepeatMode) -> IndexArray:
    """Return (n_phi,) which maps have contrast and offset, or their series, in common.

    Numbers are from 0, in the order in which the maps come.
    """
    keys = [np.unique(rows.q, return_inverse=True)[1]]
    if repeats == "individual" and rows.repeat is not None:
        keys.append(rows.repeat)
    if mode == "individual":
        # Two maps of one angle are of repeats, or the user's own doing: they are told apart.
        apart = rows.repeat is None or repeats == "individual"
        keys.append(np.arange(len(rows.phi)) if apart else np.round(rows.phi, _SAME_ANGLE))
    _, first, inverse = np.unique(
        np.stack(keys, axis=1), axis=0, return_index=True, return_inverse=True
    )
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def scaling_model(
    mode: PerAngleMode,
    rows: Rows,
    *,
    repeats: PerRepeatMode = "individual",
    order: int,
    contrast: FloatArray,
    offset: FloatArray,
    contrast_bounds: Bounds,
    offset_bounds: Bounds,
) -> ScalingModel:
    """Make the scaling model of a ``per_angle_mode``; contrast and offset serve ``fixed``."""
    phi, groups = rows.phi, scaling_groups(mode, rows, repeats)
    n_phi, zero = len(phi), np.zeros(len(phi))
    constants = (zero, zero)
    basis: FloatArray | None = None
    if mode == "fixed":
        basis, constants = np.zeros((n_phi, 0)), (contrast, offset)
    elif mode == "fourier":
        angle = np.deg2rad(phi)[:, None] * np.arange(1, order + 1)
        series = np.hstack([np.ones((n_phi, 1)), np.cos(angle), np.sin(angle)])
        own = groups[:, None] == np.arange(groups.max() + 1)
        basis = (own[:, :, None] * series[:, None, :]).reshape(n_phi, -1)
        if series.shape[1] >= np.bincount(groups).min():
            # As many coefficients as angles: each has its own.
            basis, groups = None, np.arange(n_phi)
    return ScalingModel(basis, groups, *constants, contrast_bounds, offset_bounds)


@dataclass(frozen=True)
class ScalingDirections:
    """How free coefficients move contrast and offset.

    Attributes
    ----------
    each
        (n_phi, 2, k): contrast and offset of each angle by coefficients.
    groups
        (n_phi,) where the coefficients are those of a map's group, two of them (one that a bound
        holds moves nothing); None where they are those of all angles.
    """

    each: FloatArray
    groups: IndexArray | None

    def assembled(self, parts: FloatArray) -> Arrow:
        """Return the sum over angles of matrices over [parameters, contrast, offset] of each.

        Parameters
        ----------
        parts
            (n_phi, p + 2, p + 2).
        """
        p = parts.shape[1] - 2
        head, crossed = parts[:, :p, :p].sum(axis=0), parts[:, :p, p:] @ self.each
        inner = self.each.swapaxes(1, 2) @ parts[:, p:, p:] @ self.each
        if self.groups is not None:
            return Arrow(head, grouped(crossed, self.groups), grouped(inner, self.groups))
        columns = crossed.sum(axis=0)
        whole = np.block([[head, columns], [columns.T, inner.sum(axis=0)]])
        return Arrow(whole, np.zeros((0, len(whole), 2)), np.zeros((0, 2, 2)))

    def covariances(self, spread: Spread, p: int) -> FloatArray:
        """Return the covariance of contrast and offset of each angle, (n_phi, 2, 2)."""
        inner = spread.head[p:, p:] if self.groups is None else spread.blocks[self.groups]
        return np.asarray(self.each @ inner @ self.each.swapaxes(1, 2))


def solve_scaling(
    grams: AngleGrams, model: ScalingModel, inverse_variance: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the best contrast and offset, (..., n_phi) each, and their coefficients.

    The latter are (..., 2 m) of the basis, or (..., n_groups, 2) without one.

    Parameters
    ----------
    grams
        Of one point, or of many along the leading axes of `gram`.
    """
    matrix, right = _normal_equations(grams, model, inverse_variance)
    basis = model.basis
    if basis is None:
        groups = model.groups
        theta = _in_box(grouped(matrix, groups, -3), grouped(right, groups, -2), *model.box)
        return theta[..., groups, 0], theta[..., groups, 1], theta
    m = basis.shape[1]
    theta = np.zeros((*right.shape[:-2], 2 * m))
    if m:
        theta = _on_basis(matrix, right, model, basis)
    contrast, offset = theta[..., :m] @ basis.T, theta[..., m:] @ basis.T
    return model.fixed_contrast + contrast, model.fixed_offset + offset, theta


def grouped(values: FloatArray, groups: IndexArray, axis: int = 0) -> FloatArray:
    """Return the sums over the maps of each group, along an axis of maps."""
    n_groups = int(groups.max()) + 1
    if n_groups == len(groups):
        return values
    along = np.moveaxis(values, axis, 0)
    sums = np.zeros((n_groups, *along.shape[1:]))
    np.add.at(sums, groups, along)
    return np.moveaxis(sums, 0, axis)


def free_directions(model: ScalingModel, coefficients: FloatArray) -> ScalingDirections:
    """Return the directions in which no bound is active at the best coefficients of one point."""
    basis = model.basis
    if basis is None:
        free = _off_bounds(model, coefficients)[model.groups]
        return ScalingDirections(free[:, :, None] * np.eye(2), model.groups)
    m = basis.shape[1]
    if m == 0:
        return ScalingDirections(np.zeros((len(basis), 2, 0)), None)
    rows, limits = _constraints(model, basis)
    active = rows[rows @ coefficients < limits + _ACTIVE * (1.0 + np.abs(limits))]
    free = np.asarray(linalg.null_space(active)) if len(active) else np.eye(2 * m)
    return ScalingDirections(np.stack([basis @ free[:m], basis @ free[m:]], axis=1), None)


def _normal_equations(
    grams: AngleGrams, model: ScalingModel, inverse_variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the (..., n_phi, 2, 2) matrices and (..., n_phi, 2) right-hand sides of the angles."""
    g = grams.gram * inverse_variance[:, None, None]
    matrix = g[..., -3:-1, -3:-1]
    constants = np.stack([model.fixed_contrast, model.fixed_offset - grams.shift], axis=-1)
    right = g[..., -3:-1, -1] - np.einsum("...ij,...j->...i", matrix, constants)
    return matrix, right


def _in_box(
    matrix: FloatArray, right: FloatArray, lower: FloatArray, upper: FloatArray
) -> FloatArray:
    """Minimise theta' M theta - 2 r' theta of two unknowns in a box, (..., 2).

    Parameters
    ----------
    matrix, right
        (..., 2, 2) positive semidefinite, and (..., 2).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        best = np.einsum("...ij,...j->...i", invert_blocks(matrix), right)
        outside = np.any((best < lower) | (best > upper), axis=-1)
        if not outside.any():
            return np.asarray(best)
        chosen, given = matrix[outside], right[outside]
        edges = []
        for k in range(2):
            other = 1 - k
            curvature = chosen[:, other, other]
            for bound in (lower[k], upper[k]):
                slope = given[:, other] - chosen[:, 0, 1] * bound
                free = slope / np.where(curvature > 0.0, curvature, 1.0)
                edge = np.empty((len(chosen), 2))
                edge[:, k], edge[:, other] = bound, np.clip(free, lower[other], upper[other])
                edges.append(edge)
        points = np.stack(edges)
        cost = np.einsum("eai,aij,eaj->ea", points, chosen, points)
        cost -= 2.0 * np.einsum("eai,ai->ea", points, given)
        best[outside] = points[cost.argmin(axis=0), np.arange(len(chosen))]
    return np.asarray(best)


def _off_bounds(model: ScalingModel, theta: FloatArray) -> FloatArray:
    """Return 1 where contrast or offset is free and 0 where a bound holds it, as `theta`."""
    lower, upper = model.box
    near = (theta - lower < _ACTIVE * (1.0 + np.abs(lower))) | (
        upper - theta < _ACTIVE * (1.0 + np.abs(upper))
    )
    return np.where(near, 0.0, 1.0)


def _constraints(model: ScalingModel, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (rows, limits) of ``rows @ theta >= limits``: both bounds of both factors."""
    zero = np.zeros_like(basis)
    contrast, offset = np.hstack([basis, zero]), np.hstack([zero, basis])
    rows = np.vstack([contrast, -contrast, offset, -offset])
    (c_lower, o_lower), (c_upper, o_upper) = model.box
    return rows, np.repeat([c_lower, -c_upper, o_lower, -o_upper], len(basis))


def _on_basis(
    matrix: FloatArray, right: FloatArray, model: ScalingModel, basis: FloatArray
) -> FloatArray:
    """Return the coefficients (..., 2 m) of a basis of several columns."""
    blocks = [[basis.T @ (matrix[..., i, j, None] * basis) for j in range(2)] for i in range(2)]
    whole = np.block(blocks)
    given = np.concatenate([right[..., i] @ basis for i in range(2)], axis=-1)
    rows, limits = _constraints(model, basis)
    flat = whole.reshape(-1, *whole.shape[-2:]), given.reshape(-1, given.shape[-1])
    theta = np.array([_inside(*one, rows, limits) for one in zip(*flat, strict=True)])
    return theta.reshape(given.shape)


def _inside(
    matrix: FloatArray, right: FloatArray, rows: FloatArray, limits: FloatArray
) -> FloatArray:
    if not np.isfinite(matrix).all():
        return np.full(right.shape, np.nan)
    free = solve_gram(matrix, right)
    if np.all(rows @ free >= limits):
        return free
    return _bounded_solution(matrix, free, rows, limits)


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
    # A series over the angles alone needs it, and it takes a while to import.
    from scipy import optimize

    weights, _ = optimize.nnls(system, target)
    residual = system @ weights - target
    if abs(residual[-1]) < 1e-14:
        return free
    return np.asarray(free + linalg.solve_triangular(upper, -residual[:-1] / residual[-1]))
