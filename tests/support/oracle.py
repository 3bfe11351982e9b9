"""The slow obvious versions that the fast code must match."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from homodyne_cli.core.model.curves import plain_g1_squared
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import Dataset, FloatArray, MapArray
from homodyne_cli.parameters import Convention

PUBLISHED = np.array([68480.5, -1.32694, 1707.7, 1.99104e-3, -0.211921, -6.07376e-4, 2.00113])

#: Decay and strain that 100 frames resolve: about ten lobes in the window, one radian per frame.
RESOLVED = np.array([8000.0, -0.4, 600.0, 1e-3, -0.25, 1e-4, 2.0])

_plain = partial(jax.jit, static_argnames="convention")(plain_g1_squared)
_slopes = partial(jax.jit, static_argnames="convention")(jax.jacfwd(plain_g1_squared))


def make_dataset(
    n: int,
    n_phi: int,
    *,
    seed: int = 0,
    parameters: FloatArray = PUBLISHED,
    convention: Convention = "he2024",
    noise: float = 0.06,
    contrast: float = 0.3017,
    offset: float = 1.106,
    gap: float | None = 2e6,
    dt: float = 0.1,
    masked: int = 0,
    spread: float = 0.0,
    single: bool = False,
    phi: FloatArray | None = None,
) -> Dataset:
    """Simulate maps with white noise; `masked` random pairs are NaN; `spread` varies scaling."""
    rng = np.random.default_rng(seed)
    t = np.asarray(dt * np.arange(1, n + 1), dtype=np.float64)
    angles: FloatArray = np.linspace(-25.5, 205.5, n_phi) if phi is None else phi
    model = model_values(parameters, t, angles, 0.0054, gap or 0.0, convention)
    c = contrast * (1 + spread * rng.uniform(-1, 1, (len(angles), 1, 1)))
    o = offset * (1 + 0.2 * spread * rng.uniform(-1, 1, (len(angles), 1, 1)))
    c2: FloatArray = o + c * model + noise * rng.standard_normal(model.shape)
    if masked:
        c2.reshape(-1)[rng.integers(0, c2.size, masked)] = np.nan
    stored: MapArray = c2.astype(np.float32) if single else c2
    return Dataset(stored, angles, t, 0.0054, gap, dt, None, {})


def model_values(
    parameters: FloatArray,
    t: FloatArray,
    phi: FloatArray,
    q: float,
    gap: float,
    convention: Convention,
) -> FloatArray:
    return np.asarray(_plain(jnp.asarray(parameters), t, phi, q, gap, convention))


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
