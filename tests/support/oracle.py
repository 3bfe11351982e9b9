"""The model written again, slowly and plainly: what the package's evaluations must match.

Nothing here is shared with the package. Integrals are adaptive quadratures, or the trapezoid of
`homodyne-2` as a loop; the map is a double loop; the version that is differentiated automatically
takes its integrals from Gauss-Legendre nodes between frames, exact to rounding for power laws away
from t = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import numpy as np
from scipy import integrate

from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import Convention

#: Between t and 2t, the widest step, 12 nodes leave (3 + sqrt(8))^-24 = 4e-19 of t^a.
_NODES = 12
_RATE_FLOOR = 1e-10


def quadrature(t: FloatArray, function: Callable[[float], float]) -> FloatArray:
    """Integrate a function from the first time to each time, step by step: (n,)."""
    steps = [integrate.quad(function, a, b, epsabs=0.0, epsrel=1e-13)[0] for a, b in pairwise(t)]
    return np.concatenate([[0.0], np.cumsum(steps)])


def running_integral(t: FloatArray, rate: FloatArray, convention: Convention) -> FloatArray:
    """Integrate amplitude * t^exponent + offset from the first frame to each frame: (n,)."""
    amplitude, exponent, offset = (float(v) for v in rate)
    if convention == "he2024":
        return quadrature(t, lambda s: amplitude * s**exponent + offset)
    total = [0.0]
    rates = []
    for time in t.tolist():
        floored = max(time, 0.5 * float(t[1] - t[0]))
        rates.append(max(amplitude * floored**exponent + offset, _RATE_FLOOR))
    for k in range(1, len(t)):
        total.append(total[-1] + 0.5 * (rates[k] + rates[k - 1]) * float(t[k] - t[k - 1]))
    return np.array(total)


def _sinc(h: float) -> float:
    return math.sin(h) / h if h else 1.0


def signed_g1(
    parameters: FloatArray,
    t: FloatArray,
    phi: float,
    q: float,
    gap: float,
    convention: Convention,
) -> FloatArray:
    """Return the field correlation of one angle with its sign, pair by pair: (n, n)."""
    n = len(t)
    transport = running_integral(t, parameters[:3], convention)
    strain, kappa = np.zeros(n), 0.0
    if len(parameters) == 7:
        strain = running_integral(t, parameters[3:6], convention)
        kappa = q * gap * math.cos(math.radians(parameters[6] - phi))
    g1 = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            decay = math.exp(-0.5 * q**2 * abs(transport[j] - transport[i]))
            x = kappa * (strain[j] - strain[i])
            if convention == "he2024":
                g1[i, j] = decay * _sinc(x / 2.0)
            else:
                g1[i, j] = decay * _sinc(x / (2.0 * math.pi)) ** 2
    return g1


def _integral(t: jax.Array, rate: jax.Array, convention: Convention) -> jax.Array:
    if convention == "he2024":
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        half = 0.5 * jnp.diff(t)[:, None]
        s = t[:-1, None] + half * (1.0 + nodes)
        steps = jnp.sum(half * weights * (rate[0] * s ** rate[1] + rate[2]), axis=1)
    else:
        floored = jnp.maximum(t, 0.5 * (t[1] - t[0]))
        rates = jnp.maximum(rate[0] * floored ** rate[1] + rate[2], _RATE_FLOOR)
        steps = 0.5 * (rates[1:] + rates[:-1]) * jnp.diff(t)
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])


def _smooth_sinc(h: jax.Array) -> jax.Array:
    """sin(h)/h; near 0 as a series, so that its automatic derivative is finite there."""
    near = jnp.abs(h) < 0.5
    square = jnp.where(near, h, 0.0) ** 2
    series = sum((-square) ** k / math.factorial(2 * k + 1) for k in range(8))
    far = jnp.where(near, 1.0, h)
    return jnp.where(near, series, jnp.sin(far) / far)


def _f(
    parameters: jax.Array,
    t: jax.Array,
    phi: jax.Array,
    q: float | FloatArray,
    gap: float,
    convention: Convention,
) -> jax.Array:
    """exp(-q^2 |dA|) S(kappa dG) on the full grid: (n_phi, n, n)."""
    transport = _integral(t, parameters[:3], convention)
    square = jnp.broadcast_to(q, jnp.shape(phi))[:, None, None] ** 2
    decay = jnp.exp(-square * jnp.abs(transport[None, :] - transport[:, None]))
    if len(parameters) == 3:
        return decay
    strain = _integral(t, parameters[3:6], convention)
    kappa = jnp.asarray(q) * gap * jnp.cos(jnp.deg2rad(parameters[6] - phi))
    x = kappa[:, None, None] * (strain[None, :] - strain[:, None])
    if convention == "he2024":
        return decay * _smooth_sinc(x / 2.0) ** 2
    return decay * _smooth_sinc(x / (2.0 * jnp.pi)) ** 4


plain_f = partial(jax.jit, static_argnames="convention")(_f)
_slopes = partial(jax.jit, static_argnames="convention")(jax.jacfwd(_f))


def model_values(
    parameters: FloatArray,
    t: FloatArray,
    phi: FloatArray,
    q: float | FloatArray,
    gap: float,
    convention: Convention,
) -> FloatArray:
    """Return f on the full grid: (n_phi, n, n)."""
    return np.asarray(plain_f(jnp.asarray(parameters), t, phi, q, gap, convention))


def autodiff_columns(
    dataset: Dataset, parameters: FloatArray, convention: Convention
) -> FloatArray:
    """Return (n_phi, m, pairs): df/dp by forward-mode autodiff, f, 1, y; zero where masked."""
    at = (dataset.t, dataset.phi, dataset.q, dataset.gap or 0.0)
    slopes = np.moveaxis(np.asarray(_slopes(jnp.asarray(parameters), *at, convention)), -1, 1)
    value = model_values(parameters, *at, convention)
    upper = np.triu_indices(dataset.n_frames, 1)
    y = np.asarray(dataset.c2, dtype=float)
    columns = np.concatenate(
        [slopes, value[:, None], np.ones_like(value)[:, None], y[:, None]], axis=1
    )[..., upper[0], upper[1]]
    return np.where(np.isfinite(columns[:, -1:]), columns, 0.0)
