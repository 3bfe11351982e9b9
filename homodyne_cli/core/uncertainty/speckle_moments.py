"""The model of one angle at any pairs of frames, and the moments of single speckles there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.model.curves import SHEAR_FACTORS, ModelCurves
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray


@dataclass(frozen=True)
class AngleModel:
    """One angle as a function of pairs of frames.

    Attributes
    ----------
    decay
        (n,) q^2 A / 2; g1 falls by exp of minus its difference.
    phase
        (n,) argument of the sinc is its difference.
    power
        Of the sinc in f = |g1|^2; zero without shear.
    scale
        The shear factor's, of kappa times the strain.
    """

    decay: FloatArray
    phase: FloatArray
    power: int
    scale: float

    def g1(self, i: IndexArray, j: IndexArray) -> FloatArray:
        """Return the signed square root of f at pairs (i, j), which broadcast."""
        amplitude = np.exp(-np.abs(self.decay[j] - self.decay[i]))
        if self.power == 0:
            return np.asarray(amplitude)
        h = self.phase[j] - self.phase[i]
        return np.asarray(amplitude * _sinc(h, np.sin(h)) ** (self.power // 2))

    def with_slope(self, i: IndexArray, j: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Return g1 and df by kappa times strain at pairs (i, j), which broadcast."""
        amplitude = np.exp(-np.abs(self.decay[j] - self.decay[i]))
        if self.power == 0:
            return amplitude, np.zeros_like(amplitude)
        h = self.phase[j] - self.phase[i]
        sinc = _sinc(h, np.sin(h))
        near = np.abs(h) < 1e-3
        slope = np.where(near, -h / 3.0, (np.cos(h) - sinc) / np.where(near, 1.0, h))
        inner = sinc ** (self.power // 2 - 1)
        g1 = amplitude * sinc * inner
        return g1, self.power * self.scale * amplitude * g1 * inner * slope


def _sinc(h: FloatArray, sine: FloatArray) -> FloatArray:
    near = np.abs(h) < 1e-4
    return np.asarray(np.where(near, 1.0 - h * h / 6.0, sine / np.where(near, 1.0, h)))


def angle_model(
    dataset: Dataset, objective: Objective, curves: ModelCurves, angle: int, dtype: type
) -> AngleModel:
    """Return the model of an angle, evaluated in the given precision."""
    form = SHEAR_FACTORS[objective.kind.convention]
    laminar = objective.kind.mode == "laminar_flow"
    phase = form.scale * curves.kappa[angle] * curves.strain
    return AngleModel(
        (0.5 * dataset.q**2 * curves.transport).astype(dtype),
        phase.astype(dtype),
        form.power if laminar else 0,
        form.scale,
    )


def psi_variance(f: FloatArray, b: FloatArray) -> FloatArray:
    """Return the variance of x_i x_j - b (x_i + x_j), x = I - 1, for f = |g1|^2 of the pair."""
    return 1.0 + 4.0 * f + 3.0 * f**2 - 8.0 * b * f + 2.0 * b**2 * (1.0 + f)


def psi_covariance(
    model: AngleModel,
    root: float,
    first: tuple[IndexArray, IndexArray],
    second: tuple[IndexArray, IndexArray],
) -> FloatArray:
    """Return the covariance of that influence at pairs (i, j) and (k, l), b = root * f.

    Moments of a complex Gaussian field with real covariance: permutations without fixed points.
    """
    (i, j), (k, m) = first, second
    ij, km = model.g1(i, j), model.g1(k, m)
    ik, im, jk, jm = model.g1(i, k), model.g1(i, m), model.g1(j, k), model.g1(j, m)
    fourth = (ik * jm) ** 2 + (im * jk) ** 2
    fourth += 2.0 * (ij * km * (jk * im + jm * ik) + ik * jk * jm * im)
    b, c = root * ij**2, root * km**2
    third = 2.0 * c * ij * (jk * ik + jm * im) + 2.0 * b * km * (im * ik + jm * jk)
    return np.asarray(fourth - third + b * c * (ik**2 + im**2 + jk**2 + jm**2))
