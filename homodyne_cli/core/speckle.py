r"""Noise of a finite number of speckles: how it is correlated, and what it does to the fit.

A map averaged over M speckles differs from its expectation by the mean of M independent influences

    psi_ij = contrast (x_i x_j - f_ij (x_i + x_j)),        x = I - 1, f = |g1|^2

of intensities I = |E|^2 whose fields E are complex Gaussian with covariance g1 (the signed square
root of the model's decay times shear factor). All pairs that share a frame share its speckles, and
slow dynamics spread the correlation further, so the parameters scatter by much more than the
inverse Hessian says. Drawing K fields gives K scores s = J^T W psi; the variance of the fit's own score is
Cov(s)/M, and the covariance of the parameters is H^-1 Cov(s) H^-1 / M.

M and the share of white noise (photons) follow from two variances of the residuals: their mean
square, and that of second differences along the diagonals, which slow speckle noise hardly enters::

    mean square        = white + P / M       P: mean square of psi with the fit projected out
    second differences = white + Q / M       Q: the same differences of psi

Analytically Var(psi) = contrast^2 (1 + 4 f - 3 f^2 + 2 f^3), and projecting the fit out of psi
takes the trace of H^-1 Cov(s) away from its sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.losses import Scaling, loss_terms
from homodyne_cli.core.noise import estimate_sigma
from homodyne_cli.core.objective import Objective
from homodyne_cli.core.physics import SHEAR_FACTORS, phase_factors, running_integral
from homodyne_cli.core.projection import Projection
from homodyne_cli.core.tiles import rms_sigma
from homodyne_cli.models import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import N_DIFFUSION

#: Frames beyond which every second, third ... frame is looked at. The sums then leave out that
#: noise averages within a stride: the uncertainty comes out too large rather than too small.
_MAX_FRAMES = 1000
#: Fields per angle, and the floating-point operations that they may cost.
_FIELDS = (48, 600)
_BUDGET = 1.5e10
_SAMPLED_PAIRS = 4000
#: Excess of the residuals over white noise, in standard errors, that counts as speckle noise.
_SIGNIFICANT = 4.0
#: Where second differences of psi hold all but this share of its variance, speckle noise is white.
_DISTINCT = 0.02
_JITTER = 1e-8


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
class _Curves:
    """Running integrals on the frames looked at, and their derivatives."""

    transport: FloatArray
    transport_slopes: FloatArray
    strain: FloatArray
    strain_slopes: FloatArray


@dataclass(frozen=True)
class _Fields:
    """One angle: f, df by h of the shear factor (times its scale), g1 and kappa with its slope."""

    f: FloatArray
    v: FloatArray | None
    g1: FloatArray
    sign: FloatArray
    kappa: float
    kappa_slope: float


@dataclass(frozen=True)
class _AngleSums:
    """Of one angle, in units of sigma: scores (K, p + 2) and sums over its pairs."""

    scores: FloatArray
    weight: float
    residual: float
    psi: float
    psi_difference: float


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
    curves = _curves(dataset, objective, parameters, frames)
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
    psi_difference = float(np.average([s.psi_difference for s in sums], weights=weights))
    maps = dataset.c2[:, frames[:, None], frames[None, :]]
    estimate = estimate_sigma(replace(dataset, c2=maps, sigma=None))
    difference = float(np.average((estimate / objective.sigma) ** 2, weights=weights))
    return _split(score, total, difference, psi, psi_difference, float(weights.sum()))


def _split(
    score: FloatArray,
    total: float,
    difference: float,
    psi: float,
    psi_difference: float,
    n_pairs: float,
) -> SpeckleNoise:
    excess, error = total - difference, 2.5 * total / np.sqrt(n_pairs)
    distinct = psi - psi_difference
    if excess < _SIGNIFICANT * error or distinct < _DISTINCT * psi:
        return SpeckleNoise(np.zeros_like(score), float("inf"), 1.0, 1.0)
    # No more speckle noise than all of the residuals.
    inverse = min(excess / distinct, total / psi)
    white = max(total - psi * inverse, 0.0)
    return SpeckleNoise(score * inverse, 1.0 / inverse, white / total, white)


def _curves(
    dataset: Dataset, objective: Objective, parameters: FloatArray, frames: IndexArray
) -> _Curves:
    t = jnp.asarray(dataset.t)
    convention = objective.kind.convention
    transport = running_integral(t, jnp.asarray(parameters[:N_DIFFUSION]), convention)
    none = np.zeros((0, len(frames)))
    strain_value, strain_slopes = np.zeros(len(frames)), none
    if objective.kind.mode == "laminar_flow":
        strain = running_integral(t, jnp.asarray(parameters[N_DIFFUSION:-1]), convention)
        strain_value = np.asarray(strain.value)[frames]
        strain_slopes = np.asarray(strain.derivatives)[:, frames]
    return _Curves(
        np.asarray(transport.value)[frames],
        np.asarray(transport.derivatives)[:, frames],
        strain_value,
        strain_slopes,
    )


def _fields(
    dataset: Dataset, objective: Objective, parameters: FloatArray, curves: _Curves, angle: int
) -> _Fields:
    shift = curves.transport[None, :] - curves.transport[:, None]
    amplitude = np.exp(-0.5 * dataset.q**2 * np.abs(shift))
    if objective.kind.mode == "static":
        return _Fields(amplitude**2, None, amplitude, np.sign(shift), 0.0, 0.0)
    gap = 0.0 if dataset.gap is None else dataset.gap
    phi = jnp.asarray(dataset.phi[angle : angle + 1])
    kappa, slope = phase_factors(jnp.asarray(parameters[-1]), phi, dataset.q, gap)
    form = SHEAR_FACTORS[objective.kind.convention]
    h = form.scale * float(kappa[0]) * (curves.strain[None, :] - curves.strain[:, None])
    sinc = np.sinc(h / np.pi)
    near = np.abs(h) < 1e-4
    sinc_slope = np.where(near, -h / 3.0, (np.cos(h) - sinc) / np.where(near, 1.0, h))
    decay = amplitude**2
    return _Fields(
        decay * sinc**form.power,
        form.power * form.scale * decay * sinc ** (form.power - 1) * sinc_slope,
        amplitude * sinc ** (form.power // 2),
        np.sign(shift),
        float(kappa[0]),
        float(slope[0]),
    )


def _angle_sums(
    dataset: Dataset,
    objective: Objective,
    at: Projection,
    parameters: FloatArray,
    curves: _Curves,
    frames: IndexArray,
    angle: int,
    count: int,
    stream: np.random.Generator,
) -> _AngleSums:
    fields = _fields(dataset, objective, parameters, curves, angle)
    contrast, sigma = float(at.contrast[angle]), float(objective.sigma[angle])
    data = np.asarray(dataset.c2[angle][np.ix_(frames, frames)], dtype=float)
    fitted = np.triu(np.isfinite(data), 1)
    model = at.offset[angle] + contrast * fields.f
    residual = np.where(fitted, (np.where(fitted, data, 0.0) - model) / sigma, 0.0)
    weight = _weights(dataset, objective, at, fields.f, data, frames, angle) * fitted
    x = _intensities(fields.g1, count, stream)
    f = fields.f
    spread = 1.0 + 4.0 * f - 3.0 * f**2 + 2.0 * f**3
    scale = contrast / sigma
    return _AngleSums(
        scores=scale / sigma * _scores(fields, curves, weight, x, contrast, dataset.q),
        weight=float(weight.sum()),
        residual=float(np.sum(weight * residual**2)),
        psi=scale**2 * float(np.sum(weight * spread)),
        psi_difference=scale**2 * _second_difference(f, x, stream),
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


def _intensities(g1: FloatArray, count: int, stream: np.random.Generator) -> FloatArray:
    """Draw (n, count) intensities minus one of complex Gaussian fields with covariance g1."""
    n = len(g1)
    try:
        root = np.linalg.cholesky(g1 + _JITTER * np.eye(n))
    except np.linalg.LinAlgError:
        # A transport coefficient that changes sign is no covariance; take the nearest one.
        values, vectors = np.linalg.eigh(g1)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
    real, imaginary = stream.standard_normal((2, n, count)) / np.sqrt(2.0)
    intensity = np.asarray((root @ real) ** 2 + (root @ imaginary) ** 2 - 1.0)
    return intensity


def _scores(
    fields: _Fields,
    curves: _Curves,
    weight: FloatArray,
    x: FloatArray,
    contrast: float,
    q: float,
) -> FloatArray:
    """Return (K, p + 2) sums of weight * column * (x_i x_j - f_ij (x_i + x_j)) over pairs.

    Columns: the derivatives of the model by its parameters, f and 1.
    """
    f = fields.f
    single = x.astype(np.float32)
    along = weight * f
    columns = [
        -contrast
        * q**2
        * _difference_scores(along * fields.sign, f, curves.transport_slopes, single)
    ]
    if fields.v is not None:
        slopes = np.concatenate([curves.strain_slopes, curves.strain[None]])
        factors = contrast * np.array([*[fields.kappa] * 3, fields.kappa_slope])
        columns.append(factors * _difference_scores(weight * fields.v, f, slopes, single))
    columns += [_plain_scores(along, f, single), _plain_scores(weight, f, single)]
    return np.concatenate(columns, axis=1)


def _difference_scores(
    u: FloatArray, f: FloatArray, curves: FloatArray, x: np.ndarray
) -> FloatArray:
    """Sum over pairs of the column u_ij (a_j - a_i), for every curve a: (K, m)."""
    scale = np.maximum(np.abs(curves).max(axis=1), 1e-300)
    a = (curves / scale[:, None]).astype(np.float32)
    stacked = np.concatenate([x, *(row[:, None] * x for row in a)], axis=1)
    n, k = x.shape
    product = (u.astype(np.float32) @ stacked).reshape(n, len(a) + 1, k)
    quadratic = np.einsum("ik,imk->km", x, product[:, 1:], dtype=np.float64)
    quadratic -= np.einsum("mi,ik,ik->km", a, x, product[:, 0], dtype=np.float64, optimize=True)
    shared = u * f
    ends = a * (shared.sum(axis=0) - shared.sum(axis=1)) + a @ shared.T - a @ shared
    return np.asarray((quadratic - x.T @ ends.T) * scale)


def _plain_scores(u: FloatArray, f: FloatArray, x: np.ndarray) -> FloatArray:
    """Sum over pairs of the column u_ij: (K, 1)."""
    shared = u * f
    ends = shared.sum(axis=0) + shared.sum(axis=1)
    quadratic = np.einsum("ik,ik->k", x, u.astype(np.float32) @ x, dtype=np.float64)
    return np.asarray(quadratic - x.T @ ends)[:, None]


def _second_difference(f: FloatArray, x: FloatArray, stream: np.random.Generator) -> float:
    """Return the variance of second differences of psi along diagonals, over 6, contrast 1."""
    n = len(f)
    i, j = np.triu_indices(max(n - 2, 0), 1)
    if len(i) == 0:
        return 0.0
    chosen = stream.integers(0, len(i), min(_SAMPLED_PAIRS, len(i)))
    i, j = i[chosen], j[chosen]
    psi = [x[i + k] * x[j + k] - f[i + k, j + k][:, None] * (x[i + k] + x[j + k]) for k in range(3)]
    difference = psi[0] - 2.0 * psi[1] + psi[2]
    centred = difference - difference.mean(axis=1, keepdims=True)
    return float(np.mean(centred**2) / 6.0)


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
