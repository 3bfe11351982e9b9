r"""Score tests: whether residuals hold a pattern that speckle and photon noise do not make.

A pattern B is a map of ones on some pairs (a bin of lags, a block, the pairs of one frame). The
score

    s = <W, R>,    W = C0^-1 B

of the residual R is the most powerful linear statistic there is against noise of covariance C0 / M
(the main part of the noise, see `covariance_operator`). What the fit absorbs is taken off: with the
columns X of the model (its derivatives, f and 1) and W_X = C0^-1 X

    s -> s - <W, X> H^-1 <W_X, R>,    H = <W_X, X> of all angles together

which makes the test blind to how the fit was weighted: any R + X theta gives the same s. Its
covariance K follows with the whole C, <W, C W'> / M and likewise with W_X, so that it is right
though the weights are not quite the best. s' K^-1 s is chi-squared with as many degrees of freedom
as there are patterns (C. R. Rao's score test).

Patterns are looked for in groups that share a cause: bins of lag and of age over all angles (a
wrong decay, a step in the dynamics), coarse blocks of each angle (anything that is smooth over the
map), lag bins of each angle (a wrong shear factor).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.dataset import FloatArray, IndexArray

#: Eigenvalues of K below this share of the largest are patterns that the fit absorbs.
_ABSORBED = 1e-6


@dataclass(frozen=True)
class AngleScores:
    """Scores of one angle, and what their covariance is made of; k columns, b patterns.

    Attributes
    ----------
    pattern, column
        (b,) <W, R> and (k,) <W_X, R>.
    overlap, hessian
        (b, k) <W, X> and (k, k) <W_X, X>.
    covariance
        (b + k, b + k) <W, C W'> of both together, of one speckle.
    size
        (b,) <W, B>: what a pattern of amplitude one adds to its own score.
    places
        (k,) which unknown of the fit each column belongs to.
    """

    pattern: FloatArray
    column: FloatArray
    overlap: FloatArray
    hessian: FloatArray
    covariance: FloatArray
    size: FloatArray
    places: IndexArray


def angle_scores(
    noise: SpeckleCovariance,
    residual: FloatArray,
    columns: FloatArray,
    patterns: FloatArray,
    places: IndexArray,
) -> AngleScores:
    """Take the scores of one angle.

    Parameters
    ----------
    residual
        (n, n) data less fit, symmetric; zero where there are no data.
    columns, patterns
        (k, n, n) and (b, n, n), symmetric.
    """
    b = len(patterns)
    maps = np.concatenate([patterns, columns]) * noise.present
    weights = noise.precision.weights(maps)
    products = _inner(weights, noise.apply(weights))
    inner_products = _inner(weights, maps)
    scores = _inner(weights, residual[None])[:, 0]
    return AngleScores(
        pattern=scores[:b],
        column=scores[b:],
        overlap=0.5 * (inner_products[:b, b:] + inner_products[b:, :b].T),
        hessian=0.5 * (inner_products[b:, b:] + inner_products[b:, b:].T),
        covariance=0.5 * (products + products.T),
        size=np.diag(inner_products)[:b].copy(),
        places=places,
    )


def _inner(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return sums over pairs of the products of two lists of maps."""
    return np.asarray(0.5 * left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)


@dataclass(frozen=True)
class Scores:
    """Scores of all angles with the fit's own share taken off; leading axis (n_phi, b) flattened.

    Attributes
    ----------
    values
        (n_phi * b,).
    covariance
        (n_phi * b, n_phi * b), of M speckles.
    size
        (n_phi * b,) what a pattern of amplitude one adds to its score.
    n_phi
        Number of angles.
    """

    values: FloatArray
    covariance: FloatArray
    size: FloatArray
    n_phi: int

    def over_angles(self, patterns: slice) -> Scores:
        """Return those of some patterns, summed over the angles."""
        b = len(self.values) // self.n_phi
        projector = np.tile(np.eye(b)[:, patterns], (self.n_phi, 1))
        covariance = projector.T @ self.covariance @ projector
        return Scores(projector.T @ self.values, covariance, projector.T @ self.size, 1)

    def of_angles(self, patterns: slice) -> Scores:
        """Return those of some patterns, each angle for itself."""
        b = len(self.values) // self.n_phi
        chosen = (np.arange(self.n_phi)[:, None] * b + np.arange(b)[patterns]).ravel()
        covariance = self.covariance[np.ix_(chosen, chosen)]
        return Scores(self.values[chosen], covariance, self.size[chosen], self.n_phi)


def joined_scores(angles: Sequence[AngleScores], n_speckles: float) -> Scores:
    """Take off what the fit absorbs, all angles together.

    Parameters
    ----------
    n_speckles
        M.
    """
    n_unknown = 1 + max(int(angle.places.max()) for angle in angles)
    b = len(angles[0].pattern)
    hessian, inner = np.zeros((2, n_unknown, n_unknown))
    column = np.zeros(n_unknown)
    overlap, crossed = np.zeros((2, len(angles) * b, n_unknown))
    blocks = []
    for place, angle in enumerate(angles):
        rows, at = slice(place * b, (place + 1) * b), angle.places
        hessian[np.ix_(at, at)] += angle.hessian
        inner[np.ix_(at, at)] += angle.covariance[b:, b:]
        column[at] += angle.column
        overlap[rows, at] = angle.overlap
        crossed[rows, at] = angle.covariance[:b, b:]
        blocks.append(angle.covariance[:b, :b])
    share = np.linalg.lstsq(hessian, overlap.T, rcond=1e-12)[0].T
    mixed = crossed @ share.T
    covariance = linalg.block_diag(*blocks) - mixed - mixed.T + share @ inner @ share.T
    values = np.concatenate([angle.pattern for angle in angles]) - share @ column
    size = np.concatenate([angle.size for angle in angles])
    return Scores(values, covariance / n_speckles, size, len(angles))


@dataclass(frozen=True)
class ScoreTest:
    """Outcome of one test.

    Attributes
    ----------
    statistic, freedom, p_value
        s' K^-1 s, its degrees of freedom, and the chance that noise alone exceeds it.
    amplitude
        Root mean square of the patterns' amplitudes in units of c2, noise taken off.
    pulls
        (n_phi * b,) amplitude of each pattern over its uncertainty; NaN where the fit absorbs it.
    """

    statistic: float
    freedom: int
    p_value: float
    amplitude: float
    pulls: FloatArray


def score_test(scores: Scores) -> ScoreTest:
    """Compare scores with the noise that they have."""
    sigma = np.sqrt(np.maximum(np.diag(scores.covariance), 0.0))
    live = sigma > np.sqrt(_ABSORBED) * max(float(sigma.max(initial=0.0)), 1e-300)
    safe = np.where(live, sigma, 1.0)
    unit = (scores.covariance / np.outer(safe, safe))[np.ix_(live, live)]
    values, vectors = np.linalg.eigh(unit)
    kept = values > _ABSORBED * max(float(values.max(initial=0.0)), 1e-300)
    pulls = np.where(live, scores.values / safe, np.nan)
    rotated = vectors[:, kept].T @ pulls[live]
    statistic, freedom = float(np.sum(rotated**2 / values[kept])), int(kept.sum())
    amplitude = scores.values / np.where(scores.size > 0.0, scores.size, np.inf)
    error = sigma / np.where(scores.size > 0.0, scores.size, np.inf)
    excess = (amplitude**2 - error**2)[live]
    weight = (error[live] ** -2.0) if np.all(error[live] > 0.0) else np.ones(int(live.sum()))
    mean = float(np.average(excess, weights=weight)) if len(excess) else 0.0
    p_value = float(stats.chi2.sf(statistic, freedom)) if freedom else 1.0
    return ScoreTest(statistic, freedom, p_value, float(np.sqrt(max(mean, 0.0))), pulls)
