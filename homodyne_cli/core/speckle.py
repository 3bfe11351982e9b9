r"""Noise of a finite number of speckles: how it is correlated, and what it does to the fit.

A map averaged over M speckles differs from its expectation by the mean of M independent influences

    psi_ij = contrast (x_i x_j - sqrt(contrast) f_ij (x_i + x_j)),    x = I - 1, f = |g1|^2

of intensities I = |E|^2 whose fields E are complex Gaussian with covariance g1 (the signed square
root of the model's decay times shear factor). The second term comes from normalising by the mean
intensities, whose fluctuations a background, or several modes per speckle, makes smaller. All pairs
that share a frame share its speckles, and slow dynamics spread the correlation further, so the
parameters scatter by much more than the inverse Hessian says. Drawing K fields gives K scores
s = J^T W psi; the variance of the fit's own score is Cov(s)/M, and the covariance of the parameters
is H^-1 Cov(s) H^-1 / M.

M and the share of white noise (photons) follow from variances of the residuals: their mean square,
and that of second differences along the diagonals over strides of 1, 2, 4 ... frames. White noise
enters all of them alike, slow speckle noise the more the longer the stride::

    mean square            = white + P / M       P: mean square of psi with the fit projected out
    differences, stride s  = white + Q_s / M     Q_s: the same differences of psi

a straight line over Q whose short strides are known best. With b = sqrt(contrast) f the moments of
a complex Gaussian give Var(psi) = contrast^2 (1 + 4 f + 3 f^2 - 8 b f + 2 b^2 (1 + f)), and
projecting the fit out of psi takes the trace of H^-1 Cov(s) away from its sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.losses import Scaling, loss_terms
from homodyne_cli.core.noise import robust_variance
from homodyne_cli.core.objective import Objective
from homodyne_cli.core.projection import Projection
from homodyne_cli.core.speckle_fields import (
    ModelCurves,
    angle_fields,
    draw_intensities,
    model_curves,
    speckle_scores,
)
from homodyne_cli.core.tiles import rms_sigma
from homodyne_cli.models import Dataset, FloatArray, IndexArray

#: Frames beyond which every second, third ... frame is looked at. The sums then leave out that
#: noise averages within a stride: the uncertainty comes out too large rather than too small.
_MAX_FRAMES = 600
#: Fields per angle, and the floating-point operations that they may cost.
_FIELDS = (48, 600)
_BUDGET = 5e9
#: Pairs times fields times angles at which differences of psi are looked at.
_PSI_VALUES = 1_200_000
_MAX_STRIDES = 6
#: Excess of the residuals over white noise, in standard errors, that counts as speckle noise.
_SIGNIFICANT = 4.0
#: Where differences over one frame hold all but this share of psi, speckle noise is white.
_DISTINCT = 0.02


@dataclass(frozen=True)
class SpeckleNoise:
    """Correlated noise in a fit.

    Attributes
    ----------
    score
        (k, k) variance of J^T W r that the speckles cause, parameters and scaling as in the
        Hessian of the projection.
    n_speckles
        M; infinite where the noise is white.
    white_share
        Of the residuals' variance.
    white_scale
        Variance of the white part over sigma^2.
    """

    score: FloatArray
    n_speckles: float
    white_share: float
    white_scale: float


@dataclass(frozen=True)
class _AngleSums:
    """Of one angle, in units of sigma: scores (K, p + 2), sums over its pairs, and differences.

    `differences` and `psi_differences` are (m,) variances over strides of 1, 2, 4 ... frames.
    """

    scores: FloatArray
    weight: float
    residual: float
    psi: float
    differences: FloatArray
    psi_differences: FloatArray


def speckle_noise(
    dataset: Dataset, objective: Objective, x: FloatArray, at: Projection, seed: int
) -> SpeckleNoise:
    """Find the correlated part of the noise and the variance of the score that it causes.

    Parameters
    ----------
    x
        (p,) free parameters at the solution.
    at
        The projection there.
    seed
        Of the fields drawn.
    """
    frames = np.arange(0, dataset.n_frames, -(-dataset.n_frames // _MAX_FRAMES))
    n, n_phi = len(frames), dataset.n_phi
    parameters = objective.expand(x)
    curves = model_curves(dataset, objective, parameters, frames)
    count = int(np.clip(_BUDGET / (20.0 * n * n * n_phi), *_FIELDS))
    streams = np.random.default_rng(seed).spawn(n_phi)
    sums = [
        _angle_sums(dataset, objective, at, parameters, curves, frames, a, count, stream)
        for a, stream in enumerate(streams)
    ]
    per_pair = (dataset.n_frames / n) ** 2
    covariances = [_full_covariance(s.scores, at, objective.free, a) for a, s in enumerate(sums)]
    score = per_pair**2 * np.sum(covariances, axis=0)
    pairs = per_pair * sum(s.weight for s in sums)
    absorbed = float(np.trace(np.linalg.lstsq(at.hessian, score, rcond=1e-12)[0]))
    psi = (per_pair * sum(s.psi for s in sums) - absorbed) / pairs
    total = per_pair * sum(s.residual for s in sums) / pairs
    weights = np.array([s.weight for s in sums])
    shown = np.average([s.differences for s in sums], axis=0, weights=weights)
    drawn = np.average([s.psi_differences for s in sums], axis=0, weights=weights)
    error = 2.5 * total / np.sqrt(float(weights.sum()))
    if len(shown) == 0 or total - shown[0] < _SIGNIFICANT * error:
        return _white(score)
    return _split(score, np.array([*shown, total]), np.array([*drawn, psi]))


def _white(score: FloatArray) -> SpeckleNoise:
    return SpeckleNoise(np.zeros_like(score), float("inf"), 1.0, 1.0)


def _split(score: FloatArray, shown: FloatArray, drawn: FloatArray) -> SpeckleNoise:
    """Fit shown = white + drawn / M; the last entries are the mean squares of residual and psi."""
    total, psi = float(shown[-1]), float(drawn[-1])
    if psi - drawn[0] < _DISTINCT * psi:
        return _white(score)
    # Variances of smooth noise scatter like the square root of the volume they average over.
    error = shown * np.sqrt(drawn)
    design = np.stack([np.ones_like(drawn), drawn], axis=1) / error[:, None]
    (_, inverse), _ = optimize.nnls(design, shown / error)
    if inverse <= 0.0:
        return _white(score)
    white = max(total - psi * float(inverse), 0.0)
    return SpeckleNoise(score * inverse, 1.0 / float(inverse), white / total, white)


def _angle_sums(
    dataset: Dataset,
    objective: Objective,
    at: Projection,
    parameters: FloatArray,
    curves: ModelCurves,
    frames: IndexArray,
    angle: int,
    count: int,
    stream: np.random.Generator,
) -> _AngleSums:
    fields = angle_fields(dataset, objective, parameters, curves, angle)
    contrast, sigma = float(at.contrast[angle]), float(objective.sigma[angle])
    data = np.asarray(dataset.c2[angle][np.ix_(frames, frames)], dtype=float)
    fitted = np.triu(np.isfinite(data), 1)
    model = at.offset[angle] + contrast * fields.f
    residual = np.where(fitted, (np.where(fitted, data, 0.0) - model) / sigma, 0.0)
    weight = _weights(dataset, objective, at, fields.f, data, frames, angle) * fitted
    x = draw_intensities(fields.g1, count, stream)
    pairs = _PSI_VALUES // (count * dataset.n_phi)
    f = fields.f
    b = min(contrast, 1.0) ** 0.5 * f
    spread = 1.0 + 4.0 * f + 3.0 * f**2 - 8.0 * b * f + 2.0 * b**2 * (1.0 + f)
    scale = contrast / sigma
    return _AngleSums(
        scores=scale / sigma * speckle_scores(fields, curves, weight, x, contrast, dataset.q),
        weight=float(weight.sum()),
        residual=float(np.sum(weight * residual**2)),
        psi=scale**2 * float(np.sum(weight * spread)),
        differences=_differences(residual, fitted),
        psi_differences=scale**2 * _psi_differences(b, x, pairs, stream),
    )


def _weights(
    dataset: Dataset,
    objective: Objective,
    at: Projection,
    f: FloatArray,
    data: FloatArray,
    frames: IndexArray,
    angle: int,
) -> FloatArray:
    """Return the (n, n) weights that the fit gives to the pairs of an angle."""
    base = np.ones_like(f)
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        one = dataset.sigma[angle : angle + 1]
        base = np.asarray((rms_sigma(one)[0] / one[0][np.ix_(frames, frames)]) ** 2)
    if not objective.robust:
        return base
    here = slice(angle, angle + 1)
    state = Scaling(*(jnp.asarray(v[here]) for v in (at.contrast, at.offset, objective.sigma)))
    shape = (1, 1, *f.shape)
    known = np.where(np.isfinite(data), data, 0.0)
    model, y, w = (jnp.asarray(v.reshape(shape)) for v in (f, known, base))
    weight, _ = loss_terms(objective.kind.weight, model, y, w, state)
    return np.asarray(weight).reshape(f.shape)


def _strides(n: int) -> list[int]:
    return [s for s in (2**k for k in range(_MAX_STRIDES)) if 8 * s <= n]


def _differences(residual: FloatArray, fitted: np.ndarray) -> FloatArray:
    """Return variances of second differences of the residual along diagonals, per stride."""
    found = []
    for stride in _strides(len(residual)):
        m = len(residual) - 2 * stride
        at = [slice(k * stride, k * stride + m) for k in range(3)]
        known = fitted[at[0], at[0]] & fitted[at[1], at[1]] & fitted[at[2], at[2]]
        r = [residual[part, part][known] for part in at]
        difference = (r[0] - 2.0 * r[1] + r[2]) / np.sqrt(6.0)
        found.append(robust_variance(difference) if len(difference) > 2 else 0.0)
    return np.array(found)


def _psi_differences(
    b: FloatArray, x: FloatArray, count: int, stream: np.random.Generator
) -> FloatArray:
    """Return the same of psi/contrast = x_i x_j - b_ij (x_i + x_j), at `count` pairs."""
    found = []
    for stride in _strides(len(b)):
        i, j = _sample(len(b), stride, count, stream)
        at = [(i + k * stride, j + k * stride) for k in range(3)]
        psi = [x[k] * x[m] - b[k, m][:, None] * (x[k] + x[m]) for k, m in at]
        difference = psi[0] - 2.0 * psi[1] + psi[2]
        centred = difference - difference.mean(axis=1, keepdims=True)
        found.append(np.mean(centred**2) / 6.0)
    return np.array(found)


def _sample(
    n: int, stride: int, count: int, stream: np.random.Generator
) -> tuple[IndexArray, IndexArray]:
    """Draw pairs i < j with room for two strides along the diagonal."""
    room = n - 2 * stride
    if room * (room - 1) // 2 <= count:
        return np.triu_indices(room, 1)
    i = stream.integers(0, room, count)
    j = (i + stream.integers(1, room, count)) % room
    return np.minimum(i, j), np.maximum(i, j)


def _full_covariance(
    scores: FloatArray, at: Projection, free: tuple[int, ...], angle: int
) -> FloatArray:
    """Return Cov(s) of one angle over free parameters and scaling coefficients."""
    scaling = (
        scores[:, -2, None] * at.contrast_directions[angle]
        + scores[:, -1, None] * at.offset_directions[angle]
    )
    full = np.concatenate([scores[:, list(free)], scaling], axis=1)
    centred = full - full.mean(axis=0)
    return np.asarray(centred.T @ centred / (len(full) - 1))
