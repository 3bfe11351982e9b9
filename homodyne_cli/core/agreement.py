r"""Whether the rings of one fit agree, and whether its repeats do.

The model has one J(t) for all q and one flow for all rings, and repeats of an experiment differ by
noise alone. At the minimum of the joint fit each part r (a ring, or a repeat) has a gradient and a
Hessian of its own, contrast and offset of each map projected out,

    g_r = J_r^T r_r,    H_r = J_r^T J_r,    V_r = the covariance of g_r,

V_r = H_r where noise is white; else from the covariance of speckles, as for the uncertainties of
the fit. The sum of g_r is zero, what is left in the parts tells them apart.

**All parameters.** A Gauss-Newton step takes part r to its own estimate x_r = x - H_r^-1 g_r of
covariance H_r^-1 V_r H_r^-1. Around their weighted mean m

    T = sum_r (x_r - m)^T H_r V_r^-1 H_r (x_r - m)

is chi-squared with (parts - 1) p degrees of freedom, and sqrt(T / degrees) is the scatter in units
of the stated uncertainties.

**What is compared.** J, the shear rate and phi0 of a part, all else as in the joint fit: along the
direction u of ln J, of the logarithm of the shear rate or of phi0,

    a_r = -u^T g_r / (u^T H_r u).

The minimum of the joint fit moves with the noise of every part. What it may move along are the free
parameters and, where some of a rate are held, u itself: the columns of B. With H = sum_r H_r and
N = B (B^T H B)^-1 B^T the g_r above are those after a step of the joint fit, g_r - H_r N sum_s g_s,
and their covariance is that of

    u^T (e_r - H_r N sum_s e_s),    <e_r e_s^T> = delta_rs V_r,

from which follow their uncertainties and a test with (parts - 1) degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from homodyne_cli.core.evaluation import EvaluatedRun
from homodyne_cli.core.noise.best_objective import BestObjective
from homodyne_cli.core.noise.weighed_angle import AngleScoreSums
from homodyne_cli.core.numerics.arrow import invert_blocks
from homodyne_cli.core.numerics.gram import pseudo_inverse
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import angle_parts
from homodyne_cli.core.uncertainty.speckle_noise import speckle_noise, speckles_in_residuals
from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.findings.agreement import Agreement, ComparedKind, ComparedQuantity
from homodyne_cli.parameters import N_DIFFUSION, names_of
from homodyne_cli.results import FitResult

#: Eigenvalue at unit diagonal below which a direction tells nothing.
_LEAST = 1e-9


@dataclass(frozen=True)
class _Parts:
    """Gradients (r, P), Hessians and covariances (r, P, P) of parts, or of single maps."""

    gradients: FloatArray
    hessians: FloatArray
    variances: FloatArray

    def summed(self, groups: IndexArray) -> _Parts:
        """Return the sums over the maps of each group."""
        which = (groups == np.arange(groups.max() + 1)[:, None]).astype(float)
        return _Parts(
            which @ self.gradients,
            np.einsum("ra,aij->rij", which, self.hessians),
            np.einsum("ra,aij->rij", which, self.variances),
        )

    def among(self, places: IndexArray) -> _Parts:
        """Return them for some of the parameters."""
        inner = np.ix_(np.arange(len(self.gradients)), places, places)
        return _Parts(self.gradients[:, places], self.hessians[inner], self.variances[inner])


def find_agreement(evaluated: EvaluatedRun) -> tuple[Agreement, ...]:
    """Compare the rings of a run, if it has several, and its repeats, if it has several.

    A fit with another loss than linear has no covariance of parts, and is not compared: see
    `uncompared_kinds`.
    """
    kinds = _kinds(evaluated)
    if not kinds or evaluated.objective.robust:
        return ()
    with np.errstate(all="ignore"):
        return tuple(_agreements(evaluated, kinds))


def uncompared_kinds(evaluated: EvaluatedRun) -> tuple[ComparedKind, ...]:
    """Return of what a run has several, and cannot compare them."""
    return _kinds(evaluated) if evaluated.objective.robust else ()


def _kinds(evaluated: EvaluatedRun) -> tuple[ComparedKind, ...]:
    rows = evaluated.run.dataset.rows
    several: dict[ComparedKind, int] = {"rings": len(rows.rings), "repeats": rows.n_repeats}
    return tuple(kind for kind, count in several.items() if count > 1)


def compare_fits(kind: ComparedKind, parts: FloatArray, results: Sequence[FitResult]) -> Agreement:
    """Compare fits of single rings, or of single repeats, around their weighted mean.

    J stands for its integral over the window, and the shear rate for the strain: what fits to the
    same frames know best of them. All parameters are compared where all fits determine the same
    ones: beside a bound uncertainties are those of what is left.
    """
    chi2, degrees = _all_parameters(results)
    quantities = []
    for name, curve in (("J", "mean_square_displacement"), ("shear rate", "strain")):
        ends = [
            (c.value[-1], c.uncertainty[-1]) for r in results for c in r.curves if c.name == curve
        ]
        if len(ends) == len(results):
            quantities.append(_around_mean(name, "%", np.log(np.abs(ends)[:, 0]), _relative(ends)))
    angles = [p for r in results for p in r.parameters if p.name == "phi0"]
    if angles:
        each = np.array([[p.value, p.uncertainty] for p in angles])
        quantities.append(_around_mean("phi0", "deg", *each.T))
    return Agreement(kind, parts, tuple(quantities), chi2, degrees, _chance(chi2, degrees))


def _all_parameters(results: Sequence[FitResult]) -> tuple[float, int]:
    """Return chi2 of estimates around their weighted mean, and its degrees of freedom."""
    names = results[0].covariance_names
    blocks = np.array([r.covariance for r in results if r.covariance_names == names])
    if len(blocks) < len(results) or not np.isfinite(blocks).all():
        return float("nan"), 0
    values = np.array([[r.value(name) for name in names] for r in results])
    precisions = np.array([pseudo_inverse(block, least=_LEAST).matrix for block in blocks])
    whole = pseudo_inverse(precisions.sum(axis=0), least=_LEAST).matrix
    apart = values - whole @ np.einsum("rij,rj->i", precisions, values)
    chi2 = float(np.einsum("ri,rij,rj->", apart, precisions, apart))
    return chi2, (len(results) - 1) * len(names)


def _relative(ends: Sequence[tuple[float, float]]) -> FloatArray:
    return np.array([error / abs(value) for value, error in ends])


def _around_mean(name: str, unit: str, values: FloatArray, errors: FloatArray) -> ComparedQuantity:
    """Compare independent estimates; those without an uncertainty tell nothing."""
    weights = np.where(errors > 0.0, np.where(errors > 0.0, errors, 1.0) ** -2.0, 0.0)
    mean = float(weights @ values / weights.sum()) if weights.any() else float("nan")
    chi2, degrees = float(weights @ (values - mean) ** 2), max(int(np.sum(weights > 0.0)) - 1, 0)
    factor = 100.0 if unit == "%" else 1.0
    of_mean = 1.0 / weights.sum() if weights.any() else 0.0
    uncertainty = np.sqrt(np.maximum(errors**2 - of_mean, 0.0))
    return ComparedQuantity(
        name=name,
        unit=unit,
        deviation=factor * np.where(weights > 0.0, values - mean, np.nan),
        uncertainty=factor * uncertainty,
        chi2=chi2,
        degrees=degrees,
        p_value=_chance(chi2, degrees),
    )


def _agreements(evaluated: EvaluatedRun, kinds: tuple[ComparedKind, ...]) -> Iterator[Agreement]:
    rows, maps = evaluated.run.dataset.rows, _maps(evaluated)
    if "rings" in kinds:
        groups = np.searchsorted(rows.rings, rows.q)
        yield _agreement("rings", rows.rings, maps.summed(groups), evaluated)
    if "repeats" in kinds and rows.repeat is not None:
        numbers = np.arange(1.0, rows.n_repeats + 1.0)
        yield _agreement("repeats", numbers, maps.summed(rows.repeat), evaluated)


def _agreement(
    kind: ComparedKind, parts: FloatArray, each: _Parts, evaluated: EvaluatedRun
) -> Agreement:
    names, held = names_of(evaluated.run.problem.mode), evaluated.at_bounds
    free = np.array([names.index(n) for n in evaluated.free.names if n not in held], dtype=np.intp)
    chi2, degrees = _heterogeneity(each.among(free))
    compared = tuple(
        _compared(name, unit, direction, each, free)
        for name, unit, direction in _directions(evaluated.run.solution.vector)
        if np.any(direction[free])
    )
    return Agreement(kind, parts, compared, chi2, degrees, _chance(chi2, degrees))


def _chance(chi2: float, degrees: int) -> float:
    return float(special.chdtrc(degrees, chi2)) if degrees else float("nan")


def _directions(values: FloatArray) -> Iterator[tuple[str, str, FloatArray]]:
    """Yield what is compared: name, unit and derivative of the parameters by it."""
    rates = [("J", slice(0, 3))]
    if len(values) > N_DIFFUSION:
        rates.append(("shear rate", slice(3, 6)))
    for name, part in rates:
        direction = np.zeros(len(values))
        direction[part] = values[part]
        direction[part.start + 1] = 0.0
        # In percent.
        yield name, "%", 0.01 * direction
    if len(values) > N_DIFFUSION:
        yield "phi0", "deg", np.eye(len(values))[-1]


def _heterogeneity(each: _Parts) -> tuple[float, int]:
    """Return T and its degrees of freedom; see the module."""
    precisions, slopes, total, rank = [], [], 0.0, 0
    for g, h, v in zip(each.gradients, each.hessians, each.variances, strict=True):
        inverse = pseudo_inverse(v, least=_LEAST)
        rank += len(v) - inverse.null.shape[1]
        precisions.append(h @ inverse.matrix @ h)
        slopes.append(-h @ inverse.matrix @ g)
        total += float(g @ inverse.matrix @ g)
    whole, slope = pseudo_inverse(np.sum(precisions, axis=0), least=_LEAST), np.sum(slopes, axis=0)
    degrees = rank - (len(slope) - whole.null.shape[1])
    return max(total - float(slope @ whole.matrix @ slope), 0.0), degrees


def _compared(
    name: str, unit: str, direction: FloatArray, each: _Parts, free: IndexArray
) -> ComparedQuantity:
    """Compare one quantity, all else as in the joint fit."""
    basis = np.eye(len(direction))[:, free]
    if np.any(np.delete(direction, free)):
        basis = np.column_stack([basis, direction])
    inner = basis.T @ each.hessians.sum(axis=0) @ basis
    follows = basis @ pseudo_inverse(inner, least=_LEAST).matrix @ basis.T
    # (r, P): how the gradient of a part along the direction follows the noise of any part.
    slope_along = np.einsum("i,rij->rj", direction, each.hessians)
    moved = -slope_along @ follows
    influence = np.repeat(moved[:, None], len(moved), axis=1)
    influence[np.arange(len(moved)), np.arange(len(moved))] += direction
    covariance = np.einsum("rti,tij,stj->rs", influence, each.variances, influence)
    slopes = each.gradients @ direction + moved @ each.gradients.sum(axis=0)
    inverse = pseudo_inverse(covariance, least=_LEAST)
    information = slope_along @ direction
    known = np.where(information > 0.0, information, np.nan)
    chi2, degrees = float(slopes @ inverse.matrix @ slopes), len(slopes) - inverse.null.shape[1]
    return ComparedQuantity(
        name=name,
        unit=unit,
        deviation=-slopes / known,
        uncertainty=np.sqrt(np.maximum(np.diag(covariance), 0.0)) / known,
        chi2=chi2,
        degrees=degrees,
        p_value=_chance(chi2, degrees),
    )


def _maps(evaluated: EvaluatedRun) -> _Parts:
    """Return the gradient of each map by all parameters, its own contrast and offset left out."""
    run, best = evaluated.run, evaluated.best
    names, vector = names_of(run.problem.mode), run.solution.vector
    unbounded = np.full(len(vector), np.inf)
    whole = replace(evaluated.objective, free=FreeParameters(names, vector, -unbounded, unbounded))
    sigma, contrast = whole.sigma, run.solution.contrast
    grams, sums = evaluated.grams, list[AngleScoreSums]()
    if best is not None:
        grams, sums = best.score_sums(best.pairs.free_values)
        sigma = np.ones_like(sigma)
    residual = np.full((len(sigma), 3), -1.0)
    residual[:, 0], residual[:, 1] = contrast, run.solution.offset - grams.shift
    slopes = np.einsum("akl,al->ak", grams.gram[:, :, -3:], residual) * sigma[:, None] ** -2.0
    gradients = np.concatenate([contrast[:, None] * slopes[:, :-3], slopes[:, -3:-1]], axis=1)
    hessians = angle_parts(grams, contrast, sigma, range(len(vector)))
    variances = hessians
    if best is not None:
        variances = _best_variances(best, sums, contrast)
    elif np.isfinite(run.record.noise.n_speckles):
        at = whole.project(grams)
        speckles = speckles_in_residuals(run.dataset, whole, vector, at)
        variances = speckle_noise(run.dataset, whole, vector, at, speckles).variances(hessians)
    return _without_scaling(
        _Parts(gradients, hessians, variances), held=run.problem.per_angle_mode == "fixed"
    )


def _best_variances(
    best: BestObjective, sums: Sequence[AngleScoreSums], contrast: FloatArray
) -> FloatArray:
    """Return the covariance of each map's gradient with best weights, (n_phi, P + 2, P + 2)."""
    size = len(best.pairs.full) + 2
    variances = np.zeros((len(contrast), size, size))
    for angle, one in zip(best.angles, sums, strict=True):
        a = angle.data.angle
        scale = np.full(size, contrast[a])
        scale[-2:] = 1.0
        variances[a] = one.best * scale[:, None] * scale
    return variances


def _without_scaling(maps: _Parts, *, held: bool) -> _Parts:
    """Project contrast and offset of each map out, or leave them where they are."""
    n, size = maps.gradients.shape
    p = size - 2
    projector = np.concatenate([np.broadcast_to(np.eye(p), (n, p, p)), np.zeros((n, 2, p))], axis=1)
    if not held:
        blocks = maps.hessians[:, p:, p:]
        projector[:, p:] = -invert_blocks(blocks) @ maps.hessians[:, p:, :p]
    across = projector.swapaxes(1, 2)
    return _Parts(
        np.einsum("aip,ai->ap", projector, maps.gradients),
        across @ maps.hessians @ projector,
        across @ maps.variances @ projector,
    )
