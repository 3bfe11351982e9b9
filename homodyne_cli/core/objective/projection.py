r"""Per-angle contrast and offset, eliminated by variable projection.

(G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 413, 1973, doi:10.1137/0710036.)

Given the pass's Gram matrices the best contrast and offset are those of `scaling`, and the Hessian
that the optimiser sees is the Schur complement of their coefficients' block. The whole Hessian is
kept as an arrow: it grows with the number of angles, not with its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import AngleGrams
from homodyne_cli.core.numerics.arrow import Arrow, eliminated, schur_complement
from homodyne_cli.core.numerics.gram import project_out, solve_gram
from homodyne_cli.core.objective.scaling import (
    ScalingDirections,
    ScalingModel,
    free_directions,
    solve_scaling,
)
from homodyne_cli.dataset import FloatArray, IndexArray


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
        Gauss-Newton J^T J of [parameters (p), free scaling coefficients], with
        J = d(model)/d(...) / sigma. Its head is the parameters, then coefficients that all angles
        have in common.
    gradient
        (p,) J^T r for r = (model - y)/sigma; the scaling part vanishes by construction.
    directions
        How the free coefficients move contrast and offset.
    grams
        What it was made from, where it is as the pass gave it.
    """

    contrast: FloatArray
    offset: FloatArray
    chi2: float
    hessian: Arrow
    gradient: FloatArray
    directions: ScalingDirections
    grams: AngleGrams | None = None

    @cached_property
    def reduced_hessian(self) -> FloatArray:
        """(p, p) Schur complement: contrast and offset projected out, not held."""
        return project_out(schur_complement(self.hessian), np.arange(len(self.gradient)))

    @cached_property
    def response(self) -> FloatArray:
        """(n_phi, 2, p) how the best contrast and offset of each angle follow the parameters."""
        p, head = len(self.gradient), self.hessian.head
        groups = self.directions.groups
        if groups is not None:
            follow = eliminated(self.hessian)[1][groups]
        else:
            follow = solve_gram(head[p:, p:], head[p:, :p])
        return -self.directions.each @ follow

    def restricted(self, places: Sequence[int] | IndexArray) -> Projection:
        """Return the derivatives by some of the parameters; contrast and offset stay free."""
        keep = [*places, *range(len(self.gradient), len(self.hessian.head))]
        hessian = self.hessian.restricted(keep)
        return replace(self, hessian=hessian, gradient=self.gradient[list(places)])


def project(grams: AngleGrams, model: ScalingModel, sigma: FloatArray) -> Projection:
    """Eliminate contrast and offset from the pass's Gram matrices.

    Parameters
    ----------
    sigma
        (n_phi,) noise per c2 value.
    """
    contrast, offset, coefficients = solve_scaling(grams, model, sigma**-2.0)
    directions = free_directions(model, coefficients)
    return _project_at(grams, contrast, offset, sigma, directions)


def project_costs(grams: AngleGrams, model: ScalingModel, sigma: FloatArray) -> FloatArray:
    """Return chi2 (n,) at the best scaling of each of many points: `gram` is (n, n_phi, 3, 3)."""
    inverse_variance = sigma**-2.0
    residual = np.full((*grams.gram.shape[:-2], 3), -1.0)
    # Where the model overflows, chi2 is NaN.
    with np.errstate(invalid="ignore"):
        contrast, offset, _ = solve_scaling(grams, model, inverse_variance)
        residual[..., 0], residual[..., 1] = contrast, offset - grams.shift
        weighted = residual * inverse_variance[:, None]
        chi2 = np.einsum("nak,nakl,nal->n", weighted, grams.gram, residual)
    return np.asarray(chi2)


def hold(
    grams: AngleGrams, contrast: FloatArray, offset: FloatArray, sigma: FloatArray
) -> Projection:
    """Evaluate cost and derivatives at a given scaling, not moved."""
    none = ScalingDirections(np.zeros((len(sigma), 2, 0)), None)
    return _project_at(grams, contrast, offset, sigma, none)


def angle_parts(
    grams: AngleGrams, contrast: FloatArray, sigma: FloatArray, places: Sequence[int]
) -> FloatArray:
    """Return J^T J of each angle by [some parameters, contrast, offset]: (n_phi, p + 2, p + 2)."""
    size = grams.gram.shape[-1]
    keep = [*places, size - 3, size - 2]
    columns = np.ones((len(contrast), len(keep)))
    columns[:, : len(places)] = contrast[:, None]
    columns /= sigma[:, None]
    gram = grams.gram[:, keep][:, :, keep]
    return np.asarray(gram * columns[:, :, None] * columns[:, None, :])


def _project_at(
    grams: AngleGrams,
    contrast: FloatArray,
    offset: FloatArray,
    sigma: FloatArray,
    directions: ScalingDirections,
) -> Projection:
    n_phi, size = grams.gram.shape[:2]
    residual = np.full((n_phi, 3), -1.0)
    residual[:, 0], residual[:, 1] = contrast, offset - grams.shift
    against = np.einsum("akl,al->ak", grams.gram[:, :, -3:], residual) * sigma[:, None] ** -2.0
    chi2 = float(np.einsum("ak,ak->", residual, against[:, -3:]))
    hessian = directions.assembled(angle_parts(grams, contrast, sigma, range(size - 3)))
    gradient = np.einsum("a,ak->k", contrast, against[:, :-3])
    return Projection(contrast, offset, max(chi2, 0.0), hessian, gradient, directions)
