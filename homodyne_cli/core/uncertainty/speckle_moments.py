"""Moments of single speckles at pairs of frames."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.dataset import FloatArray, IndexArray


def psi_variance(f: FloatArray, b: FloatArray) -> FloatArray:
    """Return the variance of x_i x_j - b (x_i + x_j), x = I - 1, for f = |g1|^2 of the pair."""
    return 1.0 + 4.0 * f + 3.0 * f**2 - 8.0 * b * f + 2.0 * b**2 * (1.0 + f)


def psi_covariance(
    model: PairModel,
    root: float,
    first: tuple[IndexArray, IndexArray],
    second: tuple[IndexArray, IndexArray],
) -> FloatArray:
    """Return the covariance of that influence at pairs (i, j) and (k, l), b = root * f.

    Moments of a complex Gaussian field with real covariance: permutations without fixed points
    (I. S. Reed, IRE Trans. Inf. Theory 8, 194, 1962).
    """
    (i, j), (k, m) = first, second
    ij, km = model.g1(i, j), model.g1(k, m)
    ik, im, jk, jm = model.g1(i, k), model.g1(i, m), model.g1(j, k), model.g1(j, m)
    fourth = (ik * jm) ** 2 + (im * jk) ** 2
    fourth += 2.0 * (ij * km * (jk * im + jm * ik) + ik * jk * jm * im)
    b, c = root * ij**2, root * km**2
    third = 2.0 * c * ij * (jk * ik + jm * im) + 2.0 * b * km * (im * ik + jm * jk)
    return np.asarray(fourth - third + b * c * (ik**2 + im**2 + jk**2 + jm**2))
