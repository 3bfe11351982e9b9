"""Fitted maps, drawn from the plain model one angle at a time."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.physics import plain_g1_squared
from homodyne_cli.models import Dataset, FloatArray
from homodyne_cli.parameters import Convention

_plain = partial(jax.jit, static_argnames=("convention",))(plain_g1_squared)


def fitted_maps(
    dataset: Dataset,
    parameters: FloatArray,
    contrast: FloatArray,
    offset: FloatArray,
    convention: Convention,
) -> np.ndarray:
    """Return contrast * f + offset, (n_phi, n, n) in the precision of the data."""
    out = np.empty_like(dataset.c2)
    gap = 0.0 if dataset.gap is None else dataset.gap
    for a in range(dataset.n_phi):
        f = _plain(
            jnp.asarray(parameters),
            jnp.asarray(dataset.t),
            jnp.asarray(dataset.phi[a : a + 1]),
            dataset.q,
            gap,
            convention,
        )
        out[a] = contrast[a] * np.asarray(f[0]) + offset[a]
    return out
