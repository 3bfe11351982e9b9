r"""The reduced problem that the optimiser sees: chi2 of the free parameters alone.

Each evaluation is one pass over the pairs followed by the projection of contrast and offset.
`scipy.optimize.least_squares` wants residuals and a Jacobian; with s = sqrt(chi2), g = J^T r and
H = J^T J it is given the (p+1)-row pair

    f = (0, ..., 0, s)        J = [ chol(H - g g^T / s^2) ; g^T / s ]

which has the same cost f^T f = chi2, the same J^T J = H and the same J^T f = g, so the trust
region takes the same steps as on the millions of rows. f needs no derivatives: a trial step
that is rejected costs a cost-only pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.gram_pass.device_tiles import PairTiles
from homodyne_cli.core.gram_pass.gram_pass import AngleGrams, PassSpec, evaluate, evaluate_many
from homodyne_cli.core.gram_pass.losses import LINEAR, PairWeight
from homodyne_cli.core.numerics.gram import square_root
from homodyne_cli.core.objective.projection import (
    Projection,
    ScalingModel,
    project,
    project_along,
    project_costs,
)
from homodyne_cli.dataset import FloatArray

_IRLS_MAX = 50
_IRLS_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Objective:
    """Chi2 over the free parameters, contrast and offset eliminated.

    Attributes
    ----------
    tiles, kind, scaling
        Data, what a pass computes, and how contrast and offset vary over angles.
    sigma
        (n_phi,).
    full
        (7,) or (3,) parameters in table order; the free ones are replaced.
    free
        Indices of the free parameters.
    """

    tiles: PairTiles
    kind: PassSpec
    scaling: ScalingModel
    sigma: FloatArray
    full: FloatArray
    free: tuple[int, ...]

    @property
    def robust(self) -> bool:
        """Whether the loss is other than linear."""
        return self.kind.weight.loss != "linear"

    def expand(self, x: FloatArray) -> FloatArray:
        """Return all parameters, the free ones set to `x`."""
        out = self.full.copy()
        out[list(self.free)] = x
        return out

    def cost(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return chi2 and the (n_phi,) contrast and offset that minimise it."""
        kind = replace(self.kind, derivatives=False)
        if not self.robust:
            found = project(evaluate(self.tiles, kind, self.expand(x)), self.scaling, self.sigma)
            return found.chi2, found.contrast, found.offset
        return self._robust_cost(kind, self.expand(x))

    def costs(self, points: FloatArray) -> FloatArray:
        """Return chi2 at many points (m, p) of a small set of pairs."""
        if self.robust:
            return np.array([self.cost(x)[0] for x in points])
        full = np.array([self.expand(x) for x in points])
        return project_costs(evaluate_many(self.tiles, self.kind, full), self.scaling, self.sigma)

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian (of the free parameters and the scaling)."""
        if not self.robust:
            return self.project(self.plain_grams(x))
        parameters = self.expand(x)
        cost, contrast, offset = self.cost(x)
        grams = evaluate(self.tiles, self.kind, parameters, (contrast, offset, self.sigma))
        found = project(grams, self.scaling, self.sigma)
        return self._free(replace(found, chi2=cost, contrast=contrast, offset=offset))

    def plain_grams(self, x: FloatArray) -> AngleGrams:
        """Run the pass with all pairs weighted by their noise alone, whatever the loss."""
        return evaluate(self.tiles, replace(self.kind, weight=LINEAR), self.expand(x))

    def project(self, grams: AngleGrams) -> Projection:
        """Eliminate contrast and offset; keep the free parameters."""
        return replace(self._free(project(grams, self.scaling, self.sigma)), grams=grams)

    def sandwich_parts(self, x: FloatArray, at: Projection) -> tuple[FloatArray, FloatArray]:
        """Return curvature and score variance (k, k) of a robust fit, scaling included."""
        parameters = self.expand(x)
        state = (at.contrast, at.offset, self.sigma)
        parts = []
        for role in ("curvature", "score"):
            weight = PairWeight(self.kind.weight.loss, role)
            grams = evaluate(self.tiles, replace(self.kind, weight=weight), parameters, state)
            held = project_along(grams, at, self.sigma)
            parts.append(self._free(held).hessian)
        return parts[0], parts[1]

    def angle_hessians(self, x: FloatArray, at: Projection) -> FloatArray:
        """Return the part of each angle in the Hessian of a linear fit, (n_phi, k, k)."""
        grams = self.plain_grams(x) if at.grams is None else at.grams
        n_phi = len(self.sigma)
        alone = np.where(np.eye(n_phi, dtype=bool), self.sigma, np.inf)
        return np.stack([self._free(project_along(grams, at, one)).hessian for one in alone])

    def _free(self, found: Projection) -> Projection:
        p = len(found.gradient)
        keep = [*self.free, *range(p, found.hessian.shape[0])]
        return replace(
            found,
            hessian=found.hessian[np.ix_(keep, keep)],
            gradient=found.gradient[list(self.free)],
        )

    def _robust_cost(
        self, kind: PassSpec, parameters: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Minimise the robust cost over contrast and offset by reweighting.

        The weighted problem majorises the cost (rho is concave), so the cost falls at every
        round until the scaling no longer moves.
        """
        linear = replace(kind, weight=LINEAR)
        start = project(evaluate(self.tiles, linear, parameters), self.scaling, self.sigma)
        contrast, offset = start.contrast, start.offset
        cost = np.inf
        for _ in range(_IRLS_MAX):
            grams = evaluate(self.tiles, kind, parameters, (contrast, offset, self.sigma))
            previous, cost = cost, float(grams.loss.sum())
            found = project(grams, self.scaling, self.sigma)
            if previous - cost <= _IRLS_TOLERANCE * cost:
                break
            contrast, offset = found.contrast, found.offset
        return cost, contrast, offset


def compressed_residual(chi2: float, p: int) -> FloatArray:
    """Return the (p+1,) residual with f^T f = chi2."""
    out = np.zeros(p + 1)
    out[-1] = np.sqrt(chi2)
    return out


def compressed_jacobian(chi2: float, gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Return the (p+1, p) Jacobian that belongs to `compressed_residual`."""
    if chi2 <= 0.0:
        return np.vstack([square_root(hessian), np.zeros_like(gradient)])
    last = gradient / np.sqrt(chi2)
    return np.vstack([square_root(hessian - np.outer(last, last)), last])
