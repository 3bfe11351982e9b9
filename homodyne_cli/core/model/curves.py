"""Transport and shear rates, their integrals, and the shear factor.

The model (He et al., PNAS 2024, doi:10.1073/pnas.2401162121) for detector angle ``a`` and frames
``t_i < t_j``::

    c2_a(i, j) = offset_a + contrast_a * exp(-q^2 |A_j - A_i|) * S(kappa_a (G_j - G_i))

with running integrals A of D(t) = D0 t^alpha + D_offset and G of the shear rate
g(t) = gamma_dot_t0 t^beta + gamma_dot_t_offset, and kappa_a = q L cos(phi0 - phi_a).

``he2024`` takes the integrals in closed form and S(x) = (sin(x/2)/(x/2))^2. ``homodyne-2`` takes
the cumulative trapezoid of the floored rates on the frame grid and S(x) = (sin(x/2pi)/(x/2pi))^4.

A pass takes these functions of frame times alone from the host, where they cost microseconds and
nothing has to be compiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.parameters import N_DIFFUSION, Convention

#: Rates below this are taken as this in the ``homodyne-2`` convention.
RATE_FLOOR = 1e-10
#: Below the radius expm1(x)/x and its slope are summed as a series, since the slope as a difference
#: loses digits there; the first term that is left out is 1e-20 of the sum.
_SERIES_TERMS = 17
_SERIES_RADIUS = 0.5


@dataclass(frozen=True)
class Running:
    """A rate or its integral, and the derivatives by (amplitude, exponent, offset) of the rate.

    Attributes
    ----------
    value
        (n,) at each frame; integrals are from the first frame.
    derivatives
        (3, n).
    """

    value: FloatArray
    derivatives: FloatArray


@dataclass(frozen=True)
class ModelCurves:
    """What the model is made of, over the frames and over the angles.

    Attributes
    ----------
    transport, transport_slopes, strain, strain_slopes
        (n,) A and G, and (3, n) their derivatives by the parameters of their rates.
    q
        (n_phi,) 1/Å of each map: maps of several rings share all that does not depend on it.
    kappa, kappa_slope
        (n_phi,) and the derivative by phi0 in degrees; zero without shear.
    """

    transport: FloatArray
    transport_slopes: FloatArray
    strain: FloatArray
    strain_slopes: FloatArray
    q: FloatArray
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


def _horner(coefficients: FloatArray, x: FloatArray) -> FloatArray:
    """Evaluate a polynomial given by ascending coefficients."""
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _phi(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return expm1(x)/x and its derivative, smooth through x = 0."""
    coefficients = np.array([1.0 / math.factorial(k + 1) for k in range(_SERIES_TERMS)])
    small = abs(x) < _SERIES_RADIUS
    inner = np.where(small, x, 0.0)
    outer = np.where(small, 1.0, x)
    direct = np.expm1(outer) / outer
    slopes = coefficients[1:] * np.arange(1.0, _SERIES_TERMS)
    value = np.where(small, _horner(coefficients, inner), direct)
    slope = np.where(small, _horner(slopes, inner), (np.exp(outer) - direct) / outer)
    return value, slope


def power_law_integral(t: FloatArray, exponent: FloatArray) -> tuple[FloatArray, FloatArray]:
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
    a = exponent + 1.0
    log_first = np.log(t[0])
    log_ratio = np.log(t / t[0])
    value, slope = _phi(a * log_ratio)
    scale = np.exp(a * log_first) * log_ratio
    integral = scale * value
    return integral, log_first * integral + scale * log_ratio * slope


def _closed_form(t: FloatArray, rate: FloatArray) -> Running:
    power, power_slope = power_law_integral(t, rate[1])
    elapsed = np.broadcast_to(t - t[0], power.shape)
    derivatives = np.stack([power, rate[0] * power_slope, elapsed])
    return Running(rate[0] * power + rate[2] * elapsed, derivatives)


def _cumulative_trapezoid(t: FloatArray, y: FloatArray) -> FloatArray:
    steps = 0.5 * (y[..., 1:] + y[..., :-1]) * (t[1:] - t[:-1])
    zero = np.zeros((*y.shape[:-1], 1))
    total = np.concatenate([zero, np.cumsum(steps, axis=-1)], axis=-1)
    return total


def _trapezoid(t: FloatArray, rate: FloatArray) -> Running:
    at = rate_curve(t, rate, "homodyne-2")
    return Running(_cumulative_trapezoid(t, at.value), _cumulative_trapezoid(t, at.derivatives))


def rate_curve(t: FloatArray, rate: FloatArray, convention: Convention) -> Running:
    """Return rate[0] * t**rate[1] + rate[2] at each frame; arguments as `running_integral`."""
    floored = convention == "homodyne-2"
    if floored:
        t = np.maximum(t, 0.5 * (t[1] - t[0]))
    power = t ** rate[1]
    value = rate[0] * power + rate[2]
    slopes = np.stack([power, rate[0] * power * np.log(t), np.ones_like(power)])
    if floored:
        slopes = np.where(value > RATE_FLOOR, slopes, 0.0)
        value = np.maximum(value, RATE_FLOOR)
    return Running(value, slopes)


def running_integral(t: FloatArray, rate: FloatArray, convention: Convention) -> Running:
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


def phase_factors(
    phi0: FloatArray, phi: FloatArray, q: float | FloatArray, gap: float
) -> tuple[FloatArray, FloatArray]:
    """Return kappa_a = q L cos(phi0 - phi_a) and its derivative by phi0 in degrees, (n_phi,)."""
    angle = np.deg2rad(phi0 - phi)
    kappa = q * gap * np.cos(angle)
    slope = -q * gap * np.sin(angle) * (np.pi / 180.0)
    return kappa, slope


def _at_frames(
    t: FloatArray, rate: FloatArray, convention: Convention, frames: IndexArray | None
) -> Running:
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
    q: float | FloatArray,
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
    q
        1/Å, of all maps or of each, (n_phi,).
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
        at_rest = np.zeros_like(transport.value)
        strain = Running(at_rest, np.zeros((0, *at_rest.shape)))
        wave_vectors = np.broadcast_to(np.asarray(q, dtype=float), phi.shape)
        kappa = slope = np.zeros(len(phi))
        if len(parameters) > N_DIFFUSION:
            strain = _at_frames(t, parameters[N_DIFFUSION:-1], convention, frames)
            kappa, slope = phase_factors(np.asarray(parameters[-1]), phi, wave_vectors, gap or 0.0)
    return ModelCurves(
        transport.value,
        transport.derivatives,
        strain.value,
        strain.derivatives,
        wave_vectors,
        kappa,
        slope,
    )
