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
from scipy import special

from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.dataset import FloatArray, IndexArray

#: Eigenvalues of K below this share of the largest are patterns that the fit absorbs.
_ABSORBED = 1e-6
#: Maps that the covariance is applied to at once.
_FEW_MAPS = 8


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
        (b + k, b + k) <W, C W'> of both together, of one speckle, the 4-cycle included.
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

    def times(self, share: float) -> AngleScores:
        """Return the scores of an angle that has a share of the speckles of others.

        Its weights are as many times those of one speckle.
        """
        return AngleScores(
            share * self.pattern,
            share * self.column,
            share * self.overlap,
            share * self.hessian,
            share * self.covariance,
            share * self.size,
            self.places,
        )


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
    if noise.is_white:
        weights = maps / noise.photon_noise**2
        products = _inner(weights, maps * (1.0 + noise.contrast * noise.f))
    else:
        # A few at a time: what is made on the way is many times as large.
        few = range(0, len(maps), _FEW_MAPS)
        weights = np.concatenate([noise.precision.weights(maps[k : k + _FEW_MAPS]) for k in few])
        spread = [_inner(weights, noise.apply(weights[k : k + _FEW_MAPS])) for k in few]
        products = np.concatenate(spread, axis=1) + noise.four_cycles(weights)
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
    """Scores that are tested together, with the fit's own share taken off.

    Attributes
    ----------
    values
        (k,).
    covariance
        (k, k), of M speckles.
    size
        (k,) what a pattern of amplitude one adds to its score.
    """

    values: FloatArray
    covariance: FloatArray
    size: FloatArray


@dataclass(frozen=True)
class JoinedScores:
    """Scores of b patterns at all angles with the fit's own share of u unknowns taken off.

    Their covariance, K = D - X S' - S X' + S I S', is kept in its parts: as one matrix of
    (n_phi b)^2 numbers it would take 2 GB of 400 angles, and no test asks for all of it.

    Attributes
    ----------
    values, size
        (n_phi, b) as in `Scores`.
    blocks
        (n_phi, b, b) D, of one speckle as all below.
    crossed, share
        (n_phi, b, u) X, of patterns and columns, and S = <W, X> H^-1.
    inner
        (u, u) I, of the columns.
    n_speckles
        M.
    """

    values: FloatArray
    size: FloatArray
    blocks: FloatArray
    crossed: FloatArray
    share: FloatArray
    inner: FloatArray
    n_speckles: float

    def over_angles(self, patterns: slice) -> Scores:
        """Return those of some patterns, summed over the angles."""
        crossed, share = (part[:, patterns].sum(axis=0) for part in (self.crossed, self.share))
        covariance = self._common(crossed, share) + self.blocks[:, patterns, patterns].sum(axis=0)
        return Scores(
            self.values[:, patterns].sum(axis=0),
            covariance / self.n_speckles,
            self.size[:, patterns].sum(axis=0),
        )

    def of_angles(self, patterns: slice) -> Scores:
        """Return those of some patterns, each angle for itself."""
        u = len(self.inner)
        crossed, share = (part[:, patterns].reshape(-1, u) for part in (self.crossed, self.share))
        covariance = self._common(crossed, share)
        blocks = self.blocks[:, patterns, patterns]
        for place, block in enumerate(blocks):
            own = slice(place * len(block), (place + 1) * len(block))
            covariance[own, own] += block
        covariance /= self.n_speckles
        return Scores(self.values[:, patterns].ravel(), covariance, self.size[:, patterns].ravel())

    def _common(self, crossed: FloatArray, share: FloatArray) -> FloatArray:
        """Return K - D, which is symmetric, from one half of it."""
        half = (0.5 * share @ self.inner - crossed) @ share.T
        return np.asarray(half + half.T)


def joined_scores(angles: Sequence[AngleScores], n_speckles: float) -> JoinedScores:
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
    crossed = np.zeros((len(angles), b, n_unknown))
    for place, angle in enumerate(angles):
        at = angle.places
        hessian[np.ix_(at, at)] += angle.hessian
        inner[np.ix_(at, at)] += angle.covariance[b:, b:]
        column[at] += angle.column
        crossed[place][:, at] = angle.covariance[:b, b:]
    inverse = np.linalg.pinv(hessian, rcond=1e-12, hermitian=True)
    share = np.stack([angle.overlap @ inverse[angle.places] for angle in angles])
    return JoinedScores(
        values=np.stack([angle.pattern for angle in angles]) - share @ column,
        size=np.stack([angle.size for angle in angles]),
        blocks=np.stack([angle.covariance[:b, :b] for angle in angles]),
        crossed=crossed,
        share=share,
        inner=inner,
        n_speckles=n_speckles,
    )


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
        (k,) amplitude of each pattern over its uncertainty; NaN where the fit absorbs it.
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
    p_value = float(special.chdtrc(freedom, statistic)) if freedom else 1.0
    return ScoreTest(statistic, freedom, p_value, float(np.sqrt(max(mean, 0.0))), pulls)
