"""Uncertainties of the fitted parameters, and what the data cannot determine.

The covariance is the inverse of the full Gauss-Newton Hessian over parameters, contrast and
offset: its parameter block is the inverse of the Schur complement, not of the parameter block.
Where the noise is not what the objective takes it for (a robust loss, correlated noise) it is
H^-1 V H^-1 with H the curvature of the cost and V the variance of its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.numerics.arrow import Arrow, ArrowInverse, invert
from homodyne_cli.core.numerics.gram import column_norms
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray

#: Share of an undetermined direction above which a parameter counts as part of it: a component of
#: 0.1 carries 1% of the direction.
_PART_OF = 0.1
#: Share below which a parameter has no part in a null direction.
_NO_PART = 1e-6


@dataclass(frozen=True)
class ScoreNoise:
    """How the gradient of the cost varies: curvature and variance, scaling included."""

    curvature: Arrow
    variance: Arrow

    def restricted(self, keep: Sequence[int]) -> ScoreNoise:
        """Return that of some of the unknowns of the head."""
        return ScoreNoise(self.curvature.restricted(keep), self.variance.restricted(keep))


@dataclass(frozen=True)
class Covariance:
    """Covariance of the free parameters, contrast and offset.

    Attributes
    ----------
    parameters
        (p, p); NaN rows for parameters in an undetermined direction.
    contrast_uncertainty, offset_uncertainty
        (n_phi,).
    directions
        Undetermined directions, each as {name: component} of unit-scaled parameters.
    within_bounds
        (p, p) without NaN: along what is undetermined the parameters are as likely anywhere
        between their bounds. For what depends on them, of which some may be determined.
    """

    parameters: FloatArray
    contrast_uncertainty: FloatArray
    offset_uncertainty: FloatArray
    directions: tuple[dict[str, float], ...]
    within_bounds: FloatArray


def _freedom(inverse: ArrowInverse, widths: FloatArray) -> FloatArray:
    """Return the covariance (p, p) along null directions, where bounds alone hold parameters.

    Bounds of width w say as much as an uncertainty w / sqrt(12). In these units, D, the freedom
    that they leave inside the null space is D P D, with P the projection on the null space.
    """
    p = len(widths)
    spans, size, _ = np.linalg.svd(inverse.null[:p], full_matrices=False)
    # What is null in contrast and offset alone moves no parameter.
    spans = spans[:, size > _NO_PART]
    deviations = widths / np.sqrt(12.0)
    displacements = (inverse.scale[:p] / deviations)[:, None] * spans
    basis, _ = np.linalg.qr(displacements / np.linalg.norm(displacements, axis=0))
    reach = deviations[:, None] * basis
    return np.asarray(reach @ reach.T)


def _wider_than_bounds(block: FloatArray, widths: FloatArray) -> list[FloatArray]:
    """Return the main direction of the covariance if it reaches beyond the bounds' width."""
    known = np.flatnonzero(np.isfinite(np.diag(block)))
    inner = block[np.ix_(known, known)]
    if len(known) == 0 or not np.any(np.sqrt(np.diag(inner)) > widths[known]):
        return []
    sigma = np.sqrt(np.diag(inner))
    _, vectors = np.linalg.eigh(inner / np.outer(sigma, sigma))
    direction = np.zeros(len(widths))
    direction[known] = vectors[:, -1]
    return [direction]


def covariance(
    at: Projection,
    names: Sequence[str],
    widths: FloatArray,
    noise: ScoreNoise | None = None,
) -> Covariance:
    """Invert the Hessian at the fit.

    Parameters
    ----------
    at
        Derivatives at the solution, for the parameters in `names`.
    widths
        (p,) widths of the bounds: a parameter that the data could not tell from any other value
        inside them, even with all others known, is not determined.
    noise
        If it is not what the objective takes it for.
    """
    p = len(names)
    curvature = at.hessian if noise is None else noise.curvature
    alive = np.ones(len(curvature.head))
    alive[:p] = column_norms(curvature.head)[:p] * widths >= 1.0
    inverse = invert(curvature.scaled(alive))
    spread = inverse.spread if noise is None else inverse.sandwich(noise.variance)
    variance = np.einsum("aii->ai", at.directions.covariances(spread, p))
    of_contrast, of_offset = np.sqrt(np.maximum(variance, 0.0)).T
    block = spread.head[:p, :p].copy()
    undetermined = np.any(np.abs(inverse.null[:p]) > _PART_OF, axis=1)
    block[undetermined, :] = np.nan
    block[:, undetermined] = np.nan
    columns = [*inverse.null[:p].T, *_wider_than_bounds(block, widths)]
    directions = tuple(
        {n: float(c) for n, c in zip(names, column, strict=True) if abs(c) > _PART_OF}
        for column in columns
    )
    return Covariance(
        block,
        of_contrast,
        of_offset,
        tuple(d for d in directions if d),
        spread.head[:p, :p] + _freedom(inverse, widths),
    )


def describe_direction(direction: dict[str, float]) -> str:
    """Say in words which combination of parameters the data leave free."""
    names = sorted(direction, key=lambda n: -abs(direction[n]))
    if len(names) == 1:
        return f"{names[0]} is not determined: it changes nothing in the fitted maps"
    listed = ", ".join(names[:-1]) + f" and {names[-1]}"
    pair = [direction[n] for n in names[:2]]
    kind = "sum" if len(names) == 2 and pair[0] * pair[1] < 0 else "combination"
    return f"{listed} trade off: only their (scaled) {kind} is measured"
