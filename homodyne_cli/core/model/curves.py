"""Transport and shear integrals, the shear factor, and the plain two-time model.

The model (He et al., PNAS 2024) for detector angle ``a`` and frames ``t_i < t_j``::

    c2_a(i, j) = offset_a + contrast_a * exp(-q^2 |A_j - A_i|) * S(kappa_a (G_j - G_i))

with running integrals A of D(t) = D0 t^alpha + D_offset and G of the shear rate
g(t) = gamma_dot_t0 t^beta + gamma_dot_t_offset, and kappa_a = q L cos(phi0 - phi_a).

``he2024`` takes the integrals in closed form and S(x) = (sin(x/2)/(x/2))^2. ``homodyne-2`` takes
the cumulative trapezoid of the floored rates on the frame grid and S(x) = (sin(x/2pi)/(x/2pi))^4.

Functions of frame times alone take NumPy arrays as well as JAX arrays and answer in kind: a pass
takes them on the host, where they cost microseconds and nothing has to be compiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Generic, NamedTuple, TypeVar

import jax
import numpy as np

from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.parameters import N_DIFFUSION, Convention

#: Rates below this are taken as this in the ``homodyne-2`` convention.
RATE_FLOOR = 1e-10
_SERIES_TERMS = 17
_SERIES_RADIUS = 0.5
_SINC_TERMS = 8


Array = TypeVar("Array", FloatArray, jax.Array)


@dataclass(frozen=True)
class Running(Generic[Array]):
    """A running integral and its derivatives with respect to (amplitude, exponent, offset).

    Attributes
    ----------
    value
        (n,) integral from the first frame to each frame.
    derivatives
        (3, n).
    """

    value: Array
    derivatives: Array


@dataclass(frozen=True)
class ModelCurves:
    """What the model is made of, over the frames and over the angles.

    Attributes
    ----------
    transport, transport_slopes, strain, strain_slopes
        (n,) A and G, and (3, n) their derivatives by the parameters of their rates.
    kappa, kappa_slope
        (n_phi,) and the derivative by phi0 in degrees; zero without shear.
    """

    transport: FloatArray
    transport_slopes: FloatArray
    strain: FloatArray
    strain_slopes: FloatArray
    kappa: FloatArray
    kappa_slope: FloatArray


class ShearFactor(NamedTuple):
    """S(x) = sinc(scale * x)**power, with sinc(h) = sin(h)/h."""

    scale: float
    power: int


SHEAR_FACTORS: dict[Convention, ShearFactor] = {
    "he2024": ShearFactor(scale=0.5, power=2),
    "homodyne-2": ShearFactor(scale=1.0 / (2.0 * np.pi), power=4),
}


def _module_of(x: Array) -> ModuleType:
    return np if isinstance(x, np.ndarray) else jnp


def _horner(coefficients: FloatArray, x: Array) -> Array:
    """Evaluate a polynomial given by ascending coefficients."""
    total: Array = _module_of(x).full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _phi(x: Array) -> tuple[Array, Array]:
    """Return expm1(x)/x and its derivative, smooth through x = 0."""
    xp = _module_of(x)
    coefficients = np.array([1.0 / math.factorial(k + 1) for k in range(_SERIES_TERMS)])
    small = abs(x) < _SERIES_RADIUS
    near: Array = xp.where(small, x, 0.0)
    far: Array = xp.where(small, 1.0, x)
    direct: Array = xp.expm1(far) / far
    slopes = coefficients[1:] * np.arange(1.0, _SERIES_TERMS)
    value: Array = xp.where(small, _horner(coefficients, near), direct)
    slope: Array = xp.where(small, _horner(slopes, near), (xp.exp(far) - direct) / far)
    return value, slope


def power_law_integral(t: Array, exponent: Array) -> tuple[Array, Array]:
    """Integrate ``s**exponent`` from the first time to each time, in closed form.

    With a = exponent + 1 and l = ln(t/t_0) the integral is t_0^a l expm1(a l)/(a l), which has
    no special case at exponent -1.

    Parameters
    ----------
    t
        (n,) positive times in seconds.
    exponent
        Scalar.

    Returns
    -------
    value, slope
        (n,) each: the integral and its derivative with respect to the exponent.
    """
    xp = _module_of(t)
    a = exponent + 1.0
    log_first = xp.log(t[0])
    log_ratio: Array = xp.log(t / t[0])
    value, slope = _phi(a * log_ratio)
    scale: Array = xp.exp(a * log_first) * log_ratio
    integral = scale * value
    return integral, log_first * integral + scale * log_ratio * slope


def _closed_form(t: Array, rate: Array) -> Running[Array]:
    power, power_slope = power_law_integral(t, rate[1])
    xp = _module_of(t)
    elapsed: Array = xp.broadcast_to(t - t[0], power.shape)
    derivatives: Array = xp.stack([power, rate[0] * power_slope, elapsed])
    return Running(rate[0] * power + rate[2] * elapsed, derivatives)


def _cumulative_trapezoid(t: Array, y: Array) -> Array:
    xp = _module_of(t)
    steps = 0.5 * (y[..., 1:] + y[..., :-1]) * (t[1:] - t[:-1])
    zero = xp.zeros((*y.shape[:-1], 1))
    total: Array = xp.concatenate([zero, xp.cumsum(steps, axis=-1)], axis=-1)
    return total


def _trapezoid(t: Array, rate: Array) -> Running[Array]:
    xp = _module_of(t)
    floored: Array = xp.maximum(t, 0.5 * (t[1] - t[0]))
    power = floored ** rate[1]
    unfloored = rate[0] * power + rate[2]
    acts = unfloored > RATE_FLOOR
    slopes = xp.stack([power, rate[0] * power * xp.log(floored), xp.ones_like(power)])
    value: Array = xp.maximum(unfloored, RATE_FLOOR)
    derivatives: Array = xp.where(acts, slopes, 0.0)
    return Running(_cumulative_trapezoid(t, value), _cumulative_trapezoid(t, derivatives))


def running_integral(t: Array, rate: Array, convention: Convention) -> Running[Array]:
    """Integrate rate[0] * t**rate[1] + rate[2] from the first frame to each frame.

    Parameters
    ----------
    t
        (n,) frame times in seconds, consecutive, the first one positive.
    rate
        (3,) amplitude, exponent, offset.
    convention
        ``he2024``: exact. ``homodyne-2``: trapezoid on the grid with floored rates.
    """
    return _closed_form(t, rate) if convention == "he2024" else _trapezoid(t, rate)


def phase_factors(phi0: Array, phi: Array, q: float, gap: float) -> tuple[Array, Array]:
    """Return kappa_a = q L cos(phi0 - phi_a) and its derivative by phi0 in degrees, (n_phi,)."""
    xp = _module_of(phi)
    angle = xp.deg2rad(phi0 - phi)
    kappa: Array = q * gap * xp.cos(angle)
    slope: Array = -q * gap * xp.sin(angle) * (np.pi / 180.0)
    return kappa, slope


def _at_frames(
    t: FloatArray, rate: FloatArray, convention: Convention, frames: IndexArray | None
) -> Running[FloatArray]:
    if frames is None:
        return running_integral(t, rate, convention)
    if convention == "he2024":
        return running_integral(t[frames], rate, convention)
    # The trapezoid's sums are over all frames.
    whole = running_integral(t, rate, convention)
    return Running(whole.value[..., frames], whole.derivatives[..., frames])


def model_curves(
    t: FloatArray,
    phi: FloatArray,
    q: float,
    gap: float | None,
    parameters: FloatArray,
    convention: Convention,
    frames: IndexArray | None = None,
) -> ModelCurves:
    """Evaluate all that the model is made of.

    Parameters
    ----------
    t, phi
        (n,) seconds and (n_phi,) degrees.
    gap
        None where there is no shear.
    parameters
        (7,) or (3,) in table order; with axes (7, m, 1) all vectors are those of m points,
        (m, n) and (m, n_phi), and slopes (3, m, n).
    frames
        Indices of the frames to evaluate at, the first one among them; None for all.
    """
    # Parameters far out may overflow; chi2 is then infinite or NaN, and the step is refused.
    with np.errstate(all="ignore"):
        transport = _at_frames(t, parameters[:N_DIFFUSION], convention, frames)
        still = np.zeros_like(transport.value)
        strain = Running(still, np.zeros((0, *still.shape)))
        kappa = slope = np.zeros(len(phi))
        if len(parameters) > N_DIFFUSION:
            strain = _at_frames(t, parameters[N_DIFFUSION:-1], convention, frames)
            kappa, slope = phase_factors(np.asarray(parameters[-1]), phi, q, gap or 0.0)
    return ModelCurves(
        transport.value, transport.derivatives, strain.value, strain.derivatives, kappa, slope
    )


def shear_factor(x: jax.Array, convention: Convention) -> jax.Array:
    """Return S(x); the series near 0 keeps automatic derivatives accurate there too."""
    form = SHEAR_FACTORS[convention]
    h = form.scale * x
    small = jnp.abs(h) < _SERIES_RADIUS
    near = jnp.where(small, h, 0.0) ** 2
    far = jnp.where(small, 1.0, h)
    signs = (-1.0) ** np.arange(_SINC_TERMS)
    coefficients = signs / np.array([math.factorial(2 * k + 1) for k in range(_SINC_TERMS)])
    sinc = jnp.where(small, _horner(coefficients, near), jnp.sin(far) / far)
    return sinc**form.power


def plain_g1_squared(
    parameters: jax.Array,
    t: jax.Array,
    phi: jax.Array,
    q: float,
    gap: float,
    convention: Convention,
) -> jax.Array:
    """Evaluate exp(-q^2 |dA|) S(kappa dG) on the full grid, plainly.

    The reference that the fused pass must match, and what fitted maps are drawn from.

    Parameters
    ----------
    parameters
        (7,) or (3,) in table order; with 3 the shear factor is 1.
    t, phi
        (n,) seconds and (n_phi,) degrees.

    Returns
    -------
    array
        (n_phi, n, n).
    """
    transport = running_integral(t, parameters[:N_DIFFUSION], convention).value
    decay = jnp.exp(-(q**2) * jnp.abs(transport[None, :] - transport[:, None]))
    if parameters.shape[0] == N_DIFFUSION:
        return jnp.broadcast_to(decay, (phi.shape[0], *decay.shape))
    strain = running_integral(t, parameters[N_DIFFUSION:-1], convention).value
    kappa, _ = phase_factors(parameters[-1], phi, q, gap)
    shift = strain[None, :] - strain[:, None]
    return decay[None] * shear_factor(kappa[:, None, None] * shift[None], convention)
