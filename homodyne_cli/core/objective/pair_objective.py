r"""Chi2 over all pairs of frames, weighted one by one: the objective of an ordinary fit.

Each evaluation is one pass over the pairs followed by the projection of contrast and offset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import (
    LINEAR,
    AngleGrams,
    AngleScaling,
    PairWeight,
    PassSpec,
)
from homodyne_cli.core.gram_pass.passes import Pairs, compile_ahead, evaluate, evaluate_many
from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import (
    Projection,
    angle_parts,
    project,
    project_costs,
)
from homodyne_cli.core.objective.scaling import ScalingModel
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import names_of

#: Rounds of reweighting, each of which takes the cost nearer to its minimum by a constant factor;
#: and the relative fall of the cost at which that is near enough: ftol of the minimiser.
_IRLS_MAX = 50
_IRLS_TOLERANCE, _IRLS_NOTHING = 1e-10, 1e-6
#: Rounds that tell which of many points are worth a descent.
_IRLS_OF_MANY = 4
#: Ratio of steps up to which they are extrapolated.
_STEADIEST = 0.95


@dataclass(frozen=True)
class PairObjective:
    """Chi2 over the free parameters, contrast and offset eliminated; see `Objective`.

    Attributes
    ----------
    tiles, kind, scaling
        Data, what a pass computes, and how contrast and offset vary over angles.
    sigma
        (n_phi,).
    full
        (7,) or (3,) parameters in table order; the free ones are replaced.
    free
        Those parameters and their bounds.
    """

    tiles: Pairs
    kind: PassSpec
    scaling: ScalingModel
    sigma: FloatArray
    full: FloatArray
    free: FreeParameters

    @property
    def robust(self) -> bool:
        """Whether the loss is other than linear."""
        return self.kind.weight.loss != "linear"

    @property
    def n_unknown(self) -> int:
        """How much the data have to determine: free parameters, contrasts and offsets."""
        return len(self.free.names) + self.scaling.size

    @property
    def places(self) -> list[int]:
        """Where the free parameters are in the table."""
        table = names_of(self.kind.mode)
        return [table.index(name) for name in self.free.names]

    @property
    def free_values(self) -> FloatArray:
        """The free ones among `full`."""
        return self.full[self.places]

    def expand(self, x: FloatArray) -> FloatArray:
        """Return all parameters, the free ones set to `x`."""
        out = self.full.copy()
        out[self.places] = x
        return out

    def compile_ahead(self, *others: PairObjective) -> Callable[[], None]:
        """Compile the pass of a linear loss in a thread, for others as well; return the wait."""
        each = [] if self.robust else [self.tiles, *(other.tiles for other in others)]
        return compile_ahead(each, self.kind, self.full)

    def cost(self, x: FloatArray) -> float:
        """Return chi2 at the best contrast and offset."""
        if self.robust:
            return self._robust_cost(self.expand(x))[0]
        kind = replace(self.kind, derivatives=False)
        return project(evaluate(self.tiles, kind, self.expand(x)), self.scaling, self.sigma).chi2

    def costs(self, points: FloatArray) -> FloatArray:
        """Return chi2 at many points (m, p) of a small set of pairs, of a robust loss roughly."""
        if self.robust:
            rounds = _IRLS_OF_MANY
            return np.array([self._robust_cost(self.expand(x), rounds)[0] for x in points])
        full = np.array([self.expand(x) for x in points])
        return project_costs(evaluate_many(self.tiles, self.kind, full), self.scaling, self.sigma)

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian (of the free parameters and the scaling)."""
        if not self.robust:
            return self.project(self.plain_grams(x))
        parameters = self.expand(x)
        cost, scaling = self._robust_cost(parameters)
        grams = evaluate(self.tiles, self.kind, parameters, scaling)
        at = project(grams, self.scaling, self.sigma).restricted(self.places)
        return replace(at, chi2=cost, contrast=scaling.contrast, offset=scaling.offset)

    def plain_grams(self, x: FloatArray) -> AngleGrams:
        """Run the pass with all pairs weighted by their noise alone, whatever the loss."""
        return evaluate(self.tiles, replace(self.kind, weight=LINEAR), self.expand(x))

    def project(self, grams: AngleGrams) -> Projection:
        """Eliminate contrast and offset; keep the free parameters."""
        at = project(grams, self.scaling, self.sigma).restricted(self.places)
        return replace(at, grams=grams)

    def sandwich_parts(self, x: FloatArray, at: Projection) -> tuple[Arrow, Arrow]:
        """Return curvature and score variance of a robust fit, scaling included."""
        parameters = self.expand(x)
        scaling = AngleScaling(at.contrast, at.offset, self.sigma)
        parts = []
        for role in ("curvature", "score"):
            weight = PairWeight(self.kind.weight.loss, role)
            grams = evaluate(self.tiles, replace(self.kind, weight=weight), parameters, scaling)
            each = angle_parts(grams, at.contrast, self.sigma, self.places)
            parts.append(at.directions.assembled(each))
        return parts[0], parts[1]

    def angle_hessians(self, x: FloatArray, at: Projection) -> FloatArray:
        """Return what each angle gives to the Hessian of a linear fit; see `angle_parts`."""
        grams = self.plain_grams(x) if at.grams is None else at.grams
        return angle_parts(grams, at.contrast, self.sigma, self.places)

    def _robust_cost(
        self, parameters: FloatArray, rounds: int = _IRLS_MAX
    ) -> tuple[float, AngleScaling[FloatArray]]:
        """Minimise the robust cost over contrast and offset by reweighting.

        The weighted problem majorises the cost (rho is concave), so the cost falls at every
        round until the scaling no longer moves. It does so by a constant ratio, which every
        second round extrapolates; where the cost rises for it, the round counts without.
        """
        kind = replace(self.kind, derivatives=False)
        linear = replace(kind, weight=LINEAR)
        point = _scaling_of(
            project(evaluate(self.tiles, linear, parameters), self.scaling, self.sigma)
        )
        cost, lowest = np.inf, point
        plain, before = point, None
        for _ in range(rounds):
            state = AngleScaling(point[0], point[1], self.sigma)
            grams = evaluate(self.tiles, kind, parameters, state)
            loss = float(grams.loss.sum())
            if loss > cost:
                point, before = plain, None
                continue
            fallen, cost, lowest = cost - loss, loss, point
            if fallen <= max(_IRLS_TOLERANCE * cost, _IRLS_NOTHING):
                break
            plain = _scaling_of(project(grams, self.scaling, self.sigma))
            step, point = plain - point, plain
            if before is None:
                before = step
            else:
                ratio = min(max(float(np.sum(step * before) / np.sum(before**2)), 0.0), _STEADIEST)
                point, before = plain + ratio / (1.0 - ratio) * step, None
        return cost, AngleScaling(lowest[0], lowest[1], self.sigma)


def _scaling_of(at: Projection) -> FloatArray:
    """Return contrast and offset, (2, n_phi)."""
    return np.stack([at.contrast, at.offset])
