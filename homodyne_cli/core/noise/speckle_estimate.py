r"""Speckles and photons behind a map, from the residuals of a fit.

M speckles per angle (times the angle's share of the pixels, where it is known), photon noise w of
each angle, and the number of modes follow from the residuals R on windows of consecutive frames.
There the covariance C / M is exact (`covariance_operator`), and its main part has known
eigenvectors: with F = Q l Q' and s = c l + w, the entries of

    Z = Q' V Q,    V = C0^-1 R

are independent, of variance kappa / (M s_i s_j) (twice that for i = j). kappa is 1 for the main
part and up to 3 with the rest of C; it is the same function of i and j for all data, smooth, and
taken for groups of modes together, by applying C to random signs. Modes in which speckles are weak
scatter by w^2 / M, those in which one index is strong by w (c l + w) / M: their ratio is what tells
w, and M.

**What a misfit does.** A wrong model leaves smooth residuals, which live in few modes with both
indices strong: those with both among the strongest sixth, 3% of all, do not count. What spills
over is held down: all other modes count alike, and x = M Z_ij^2 s_i s_j / kappa is cut off at 6
before it is compared with what a chi-squared variable would leave of itself. White noise is the
limit M -> infinity at fixed v = w^2 / M, so the unknowns are ln v of each angle and mu = M^(-1/2);
they solve

    sum (min(x_ij, 6) - E min) d ln(s_i s_j / M) / d theta = 0

by Fisher scoring. Noise is white unless mu is 4 standard errors above zero.

**Modes.** An incoherent background and the mean of several modes lower the contrast alike, but
differ in higher cumulants, and with them in what is not the main part of C. With D that part for
one mode, M <V, D V> has the expectation tr(C0^-1 D C0^-1 C), in which C is a + b / modes^(1/2) +
d / modes; the three traces come from random signs again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from scipy import special

from homodyne_cli.core.noise.covariance_operator import sums_over_pairs
from homodyne_cli.core.noise.windows import Window
from homodyne_cli.core.numerics.gram import solve_gram
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import FloatArray, IndexArray

#: Squares of standard normal deviates are cut off here; what is left of their mean and variance.
CUT = 6.0
_CUT_MEAN = float(special.chdtr(3, CUT) + CUT * special.chdtrc(1, CUT))
_CUT_SQUARE = float(3.0 * special.chdtr(5, CUT) + CUT**2 * special.chdtrc(1, CUT))
#: How the mean of what is cut off follows the logarithm of the variance.
_CUT_SLOPE = float(special.chdtr(3, CUT))
#: Groups of eigenvectors that share kappa, by rank, and random signs for all angles together.
_GROUPS, _SIGNS = 4, 24
_ROUNDS, _STEPS = 3, 30
#: One over the share of eigenvectors that are smooth enough to hold a misfit.
SMOOTH = 6
#: Share of its error by which a number must change for another round.
_SMALL_CHANGE = 0.1
#: Change at which steps end, and mu c / v^(1/2) at which no speckles are left.
_STILL, _NO_SPECKLES = 1e-3, 1e-4
#: Least photon noise over contrast: below it weights would rest on modes that only rounding, or
#: the last percent of the model, fills. Then modes count whose share of it is below the second.
PHOTON_FLOOR, _STRONG = 0.02, 0.1
#: Standard errors of 1/sqrt(M) above zero that count as speckle noise.
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class SpeckleEstimate:
    """What the residuals say about speckles and photons.

    Attributes
    ----------
    n_speckles, n_speckles_error
        M of an angle of share 1 and its standard error; infinite where the noise is white.
    photon_noise, photon_noise_error
        (n_phi,) w of one speckle in one frame, over its squared mean; 1/w is the number of photons
        per speckle and frame if they are counted one by one.
    modes
        Equal modes that the contrast is made of, from 1 (and a background) to 1 / contrast.
    excess
        Frames over which what is not the main part of C adds as much to M <R, C0^-1 R> as that
        part: among n frames a pair has 1 + excess / n on average if the model is right.
    share
        (n_phi,) speckles of an angle over M.
    """

    n_speckles: float
    n_speckles_error: float
    photon_noise: FloatArray
    photon_noise_error: FloatArray
    modes: float
    excess: float
    share: FloatArray

    @property
    def of_angles(self) -> FloatArray:
        """(n_phi,) speckles of each angle."""
        return self.n_speckles * self.share

    @property
    def white(self) -> bool:
        """Whether no correlation shows."""
        return not np.isfinite(self.n_speckles)


def white_noise(n_phi: int) -> SpeckleEstimate:
    """Return the estimate that stands for independent noise of all pairs."""
    nothing = np.full(n_phi, np.inf)
    return SpeckleEstimate(float("inf"), float("inf"), nothing, nothing, 1.0, 0.0, np.ones(n_phi))


def estimate_speckles(
    windows: Sequence[Window], white_variance: FloatArray, share: FloatArray
) -> SpeckleEstimate:
    """Estimate M, w and the number of modes.

    Parameters
    ----------
    windows
        Of any angles, several of one angle or none.
    white_variance
        (n_phi,) variance between neighbouring pairs: where the search for w^2 / M begins.
    share
        (n_phi,) speckles of an angle over M.
    """
    informative = [w for w in windows if w.contrast > 0.0 and w.present.any()]
    nothing = white_noise(len(share))
    if not informative:
        return nothing
    contrast = np.array([w.contrast for w in informative])
    log_v, mu = np.log(white_variance), float(np.sqrt(np.median(white_variance)) / contrast.mean())
    modes, least = 1.0, np.zeros(len(share))
    for window in informative:
        least[window.angle] = PHOTON_FLOOR * window.contrast
    kappas = [_main_part_alone(w) for w in informative]
    with core_threads() as threads:
        for number in range(_ROUNDS):
            estimate = _score(informative, kappas, log_v, mu, share, least)
            if estimate is None:
                return nothing
            change = np.append(0.5 * (estimate[0] - log_v), estimate[1] - mu)
            log_v, mu, errors = estimate
            noise = _photon_noise(log_v, mu, share, least)
            own = [float(noise[w.angle]) for w in informative]
            speckles = [float(share[w.angle]) / mu**2 for w in informative]
            parts = list(threads.map(_excess, informative, own, speckles, repeat(len(informative))))
            modes = _modes(np.sum(parts, axis=0), float(contrast.max()))
            small = np.all(np.abs(change) < _SMALL_CHANGE * errors)
            if number and (small or number == _ROUNDS - 1):
                break
            kappas = list(
                threads.map(_kappa, informative, own, repeat(modes), repeat(len(informative)))
            )
    if mu < _SIGNIFICANT * errors[-1]:
        return nothing
    pairs = np.array([k.pairs for k in kappas])
    return SpeckleEstimate(
        n_speckles=mu**-2.0,
        n_speckles_error=2.0 * errors[-1] * mu**-3.0,
        photon_noise=noise,
        photon_noise_error=noise * errors[:-1],
        modes=modes,
        excess=float(pairs @ [k.excess for k in kappas] / pairs.sum()),
        share=share,
    )


def _photon_noise(log_v: FloatArray, mu: float, share: FloatArray, least: FloatArray) -> FloatArray:
    return np.maximum(np.exp(0.5 * log_v) * np.sqrt(share) / mu, least)


@dataclass(frozen=True)
class _Kappa:
    """kappa (pairs of modes i <= j) of a window, its pairs, and frames times (mean kappa - 1)."""

    values: FloatArray
    pairs: float
    excess: float


def _main_part_alone(window: Window) -> _Kappa:
    """Return kappa where nothing is known yet."""
    i, _ = _mode_pairs(window)
    return _Kappa(np.ones(len(i)), 0.5 * float(window.present.sum()), 0.0)


def _mode_pairs(window: Window) -> tuple[IndexArray, IndexArray]:
    return np.triu_indices(len(window.g1))


def _strengths(window: Window, photon_noise: float) -> FloatArray:
    return np.asarray(window.contrast * window.eigen[0] + photon_noise)


def _signs(window: Window, count: int) -> FloatArray:
    rng = np.random.default_rng(window.angle)
    half = np.triu(rng.choice([-1.0, 1.0], (count, *window.g1.shape)))
    return np.asarray(half + np.triu(half, 1).swapaxes(1, 2))


def _kappa(window: Window, photon_noise: float, modes: float, n_windows: int) -> _Kappa:
    """Return the variance of the modes over that of the main part, means over groups.

    It is the diagonal of K, which takes mode pairs to mode pairs as C0^-1 C C0^-1 takes maps to
    maps: for random signs e, that of e * (K e) on average (M. F. Hutchinson, Commun. Stat. Simul.
    19, 433, 1990, doi:10.1080/03610919008812866).
    """
    n, (i, j) = len(window.g1), _mode_pairs(window)
    strengths, vectors = _strengths(window, photon_noise), window.eigen[1]
    edges = np.unique(np.geomspace(max(2, n // 16), n, _GROUPS).astype(int))[:-1]
    group = np.searchsorted(edges, np.arange(n), side="right")
    label = group[i] * _GROUPS + group[j]
    covariance, precision = window.covariance(photon_noise, modes), window.precision(photon_noise)
    signs = _signs(window, max(_SIGNS // n_windows, 1))
    signs *= np.sqrt(np.outer(strengths, strengths) * (1.0 + np.eye(n)))
    weights = precision.weights((vectors @ signs @ vectors.T) * window.present)
    spread = precision.weights(covariance.apply(weights) + covariance.apply_four_cycles(weights))
    products = (signs * (vectors.T @ spread @ vectors)).mean(axis=0)
    own = np.where(i == j, 0.5, 1.0) * products[i, j]
    total, count = np.bincount(label, own), np.bincount(label)
    pairs = 0.5 * float(window.present.sum())
    values = np.divide(total, count, out=np.ones_like(total), where=count > 0)[label]
    return _Kappa(values, pairs, n * (float(own.sum()) / pairs - 1.0))


def _score(
    windows: Sequence[Window],
    kappas: Sequence[_Kappa],
    log_v: FloatArray,
    mu: float,
    share: FloatArray,
    least: FloatArray,
) -> tuple[FloatArray, float, FloatArray] | None:
    """Solve for ln v and mu; None if mu falls to zero.

    Returns
    -------
    log_v, mu, errors
        Errors of ln w (n_phi) and of mu.
    """
    n_phi = len(log_v)
    information = np.eye(n_phi + 1)
    with core_threads() as threads:
        for _ in range(_STEPS):
            noise = _photon_noise(log_v, mu, share, least)
            own = [float(noise[w.angle]) for w in windows]
            bright = [bool(noise[w.angle] <= least[w.angle]) for w in windows]
            values = [k.values for k in kappas]
            scales = [mu / float(np.sqrt(share[w.angle])) for w in windows]
            terms = threads.map(_window_score, windows, values, own, scales, bright)
            score, information = np.zeros(n_phi + 1), np.zeros((n_phi + 1, n_phi + 1))
            for window, (slope, curvature) in zip(windows, terms, strict=True):
                at, units = [window.angle, n_phi], np.array([1.0, 1.0 / mu])
                score[at] += slope * units
                information[np.ix_(at, at)] += curvature * np.outer(units, units)
            if not np.all(np.isfinite(score)):
                return None
            # An angle without a window keeps its v.
            unseen = np.diag(information) == 0.0
            information[unseen, unseen] = 1.0
            step = solve_gram(information, score) / _CUT_SLOPE
            step /= max(1.0, np.abs(step[:-1]).max(), step[-1] / mu, -2.0 * step[-1] / mu)
            log_v, mu = log_v + step[:-1], mu + float(step[-1])
            if mu < _NO_SPECKLES * np.exp(0.5 * log_v.min()):
                return None
            if np.all(np.abs(step) < _STILL * np.append(np.ones(n_phi), mu)):
                break
    # Of a sum of cut-off squares over its slope, in place of half the squares'.
    inflation = (_CUT_SQUARE - _CUT_MEAN**2) / (2.0 * _CUT_SLOPE**2)
    covariance = solve_gram(information, np.eye(n_phi + 1)) * inflation
    v, m, cross = np.diag(covariance)[:-1], covariance[-1, -1], covariance[:-1, -1]
    errors = np.sqrt(np.maximum(0.25 * v + m / mu**2 - cross / mu, 0.0))
    return log_v, mu, np.append(errors, np.sqrt(m))


def _window_score(
    window: Window,
    kappa: FloatArray,
    photon_noise: float,
    scale: float,
    bright: bool,
) -> tuple[FloatArray, FloatArray]:
    """Return score (2,) and information (2, 2) of one window for ln v and ln mu.

    Parameters
    ----------
    scale
        M^(-1/2) of its angle.
    bright
        Whether there is less photon noise than is taken for granted.
    """
    i, j = _mode_pairs(window)
    strengths, vectors = _strengths(window, photon_noise), window.eigen[1]
    weights = window.precision(photon_noise).weights(window.residual[None])[0]
    z = (vectors.T @ weights @ vectors)[i, j]
    doubled = np.where(i == j, 2.0, 1.0)
    # A model far off its data leaves no finite variance; the caller gives up then.
    with np.errstate(all="ignore"):
        x = z**2 * strengths[i] * strengths[j] / (scale**2 * doubled * kappa)
    # With s = w (1 + mu c l / v^(1/2)) up to a factor that v and mu do not change.
    white = photon_noise / strengths
    speckle = 2.0 - white[i] - white[j]
    slopes = np.stack([1.0 - 0.5 * speckle, speckle])
    smooth = len(strengths) // SMOOTH
    if bright:
        # Strong modes alone speak of M; slow dynamics leave few of them.
        strong = np.maximum(white[i], white[j]) <= _STRONG
        smooth = min(smooth, int(np.count_nonzero(white <= _STRONG)) // 2)
        slopes[0] = 0.0
        slopes[1, ~strong] = 0.0
    slopes[:, np.maximum(i, j) < smooth] = 0.0
    return 0.5 * slopes @ (np.minimum(x, CUT) - _CUT_MEAN), 0.5 * slopes @ slopes.T


def _excess(window: Window, photon_noise: float, n_speckles: float, n_windows: int) -> FloatArray:
    """Return M <V, D V> and the three traces of its expectation, (4,)."""
    covariance, precision = window.covariance(photon_noise, 1.0), window.precision(photon_noise)
    weights = precision.weights(window.residual[None])
    observed = n_speckles * sums_over_pairs(weights, covariance.apply_rest(weights))[0]
    signs = _signs(window, max(_SIGNS // n_windows, 1)) * window.present
    weighted = precision.weights(covariance.apply_rest(precision.weights(signs)))
    main = covariance.apply_main(signs)
    # a + b x + d x^2 with x = modes^(-1/2) at x = 0, 1/2 and 1.
    zero, half, one = (
        float(sums_over_pairs(weighted, main + like.apply_rest(signs)).mean())
        for like in (replace(covariance, modes=m) for m in (np.inf, 4.0, 1.0))
    )
    second = 2.0 * (zero + one - 2.0 * half)
    first = one - zero - second
    count = len(signs)
    cycles = covariance.four_cycles(np.concatenate([weighted, signs]))[:count, count:]
    return np.array([observed, zero, first, second + float(np.diag(cycles).mean())])


def _modes(parts: FloatArray, contrast: float) -> float:
    """Return the modes at which the expectation is what is observed, within 1 and 1 / contrast."""
    observed, zero, first, second = parts
    x = np.linspace(min(np.sqrt(contrast), 1.0), 1.0, 201)
    distance = np.abs(zero + first * x + second * x**2 - observed)
    return float(x[np.argmin(distance)] ** -2.0)
