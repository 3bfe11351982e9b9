"""Fields and scores of single speckles, one angle at a time; `speckle` says what for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.objective import Objective
from homodyne_cli.core.physics import SHEAR_FACTORS, phase_factors, running_integral
from homodyne_cli.models import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import N_DIFFUSION

_JITTER = 1e-8


@dataclass(frozen=True)
class ModelCurves:
    """Running integrals on the frames looked at, and their derivatives."""

    transport: FloatArray
    transport_slopes: FloatArray
    strain: FloatArray
    strain_slopes: FloatArray


@dataclass(frozen=True)
class AngleFields:
    """One angle: f, df by h of the shear factor (times its scale), g1 and kappa with its slope."""

    f: FloatArray
    v: FloatArray | None
    g1: FloatArray
    sign: FloatArray
    kappa: float
    kappa_slope: float


def model_curves(
    dataset: Dataset, objective: Objective, parameters: FloatArray, frames: IndexArray
) -> ModelCurves:
    """Integrate the rates and keep the frames looked at."""
    t = jnp.asarray(dataset.t)
    convention = objective.kind.convention
    transport = running_integral(t, jnp.asarray(parameters[:N_DIFFUSION]), convention)
    none = np.zeros((0, len(frames)))
    strain_value, strain_slopes = np.zeros(len(frames)), none
    if objective.kind.mode == "laminar_flow":
        strain = running_integral(t, jnp.asarray(parameters[N_DIFFUSION:-1]), convention)
        strain_value = np.asarray(strain.value)[frames]
        strain_slopes = np.asarray(strain.derivatives)[:, frames]
    return ModelCurves(
        np.asarray(transport.value)[frames],
        np.asarray(transport.derivatives)[:, frames],
        strain_value,
        strain_slopes,
    )


def angle_fields(
    dataset: Dataset, objective: Objective, parameters: FloatArray, curves: ModelCurves, angle: int
) -> AngleFields:
    """Evaluate the model of one angle over all pairs of the frames looked at."""
    shift = curves.transport[None, :] - curves.transport[:, None]
    amplitude = np.exp(-0.5 * dataset.q**2 * np.abs(shift))
    if objective.kind.mode == "static":
        return AngleFields(amplitude**2, None, amplitude, np.sign(shift), 0.0, 0.0)
    gap = 0.0 if dataset.gap is None else dataset.gap
    phi = jnp.asarray(dataset.phi[angle : angle + 1])
    kappa, slope = phase_factors(jnp.asarray(parameters[-1]), phi, dataset.q, gap)
    form = SHEAR_FACTORS[objective.kind.convention]
    h = form.scale * float(kappa[0]) * (curves.strain[None, :] - curves.strain[:, None])
    sinc = np.sinc(h / np.pi)
    near = np.abs(h) < 1e-4
    sinc_slope = np.where(near, -h / 3.0, (np.cos(h) - sinc) / np.where(near, 1.0, h))
    decay = amplitude**2
    return AngleFields(
        decay * sinc**form.power,
        form.power * form.scale * decay * sinc ** (form.power - 1) * sinc_slope,
        amplitude * sinc ** (form.power // 2),
        np.sign(shift),
        float(kappa[0]),
        float(slope[0]),
    )


def draw_intensities(g1: FloatArray, count: int, stream: np.random.Generator) -> FloatArray:
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


def speckle_scores(
    fields: AngleFields,
    curves: ModelCurves,
    weight: FloatArray,
    x: FloatArray,
    contrast: float,
    q: float,
) -> FloatArray:
    """Return (K, p + 2) sums of weight * column * (x_i x_j - b_ij (x_i + x_j)) over pairs.

    Columns: the derivatives of the model by its parameters, f and 1; b = sqrt(contrast) f.
    """
    b = min(contrast, 1.0) ** 0.5 * fields.f
    single = x.astype(np.float32)
    along = weight * fields.f
    diffusion = _difference_scores(along * fields.sign, b, curves.transport_slopes, single)
    columns = [-contrast * q**2 * diffusion]
    if fields.v is not None:
        slopes = np.concatenate([curves.strain_slopes, curves.strain[None]])
        factors = contrast * np.array([*[fields.kappa] * 3, fields.kappa_slope])
        columns.append(factors * _difference_scores(weight * fields.v, b, slopes, single))
    columns += [_plain_scores(along, b, single), _plain_scores(weight, b, single)]
    return np.concatenate(columns, axis=1)


def _difference_scores(
    u: FloatArray, b: FloatArray, curves: FloatArray, x: np.ndarray
) -> FloatArray:
    """Sum over pairs of the column u_ij (a_j - a_i), for every curve a: (K, m)."""
    scale = np.maximum(np.abs(curves).max(axis=1), 1e-300)
    a = (curves / scale[:, None]).astype(np.float32)
    stacked = np.concatenate([x, *(row[:, None] * x for row in a)], axis=1)
    n, k = x.shape
    product = (u.astype(np.float32) @ stacked).reshape(n, len(a) + 1, k)
    quadratic = np.einsum("ik,imk->km", x, product[:, 1:], dtype=np.float64)
    quadratic -= np.einsum("mi,ik,ik->km", a, x, product[:, 0], dtype=np.float64, optimize=True)
    shared = u * b
    ends = a * (shared.sum(axis=0) - shared.sum(axis=1)) + a @ shared.T - a @ shared
    return np.asarray((quadratic - x.T @ ends.T) * scale)


def _plain_scores(u: FloatArray, b: FloatArray, x: np.ndarray) -> FloatArray:
    """Sum over pairs of the column u_ij: (K, 1)."""
    shared = u * b
    ends = shared.sum(axis=0) + shared.sum(axis=1)
    quadratic = np.einsum("ik,ik->k", x, u.astype(np.float32) @ x, dtype=np.float64)
    return np.asarray(quadratic - x.T @ ends)[:, None]
