"""The model at pairs of frames: signed field correlation g1, f = g1^2, and fitted maps.

With q^2 A / 2 the `decay` of a frame and scale * kappa * G its `phase`, a pair has

    g1_ij = exp(-|decay_j - decay_i|) * sinc(phase_j - phase_i)**(power / 2)
    f_ij = g1_ij^2 = exp(-q^2 |A_j - A_i|) * S(kappa (G_j - G_i))

(He et al., PNAS 2024, doi:10.1073/pnas.2401162121). The field has a phase beside, that of the mean
flow, which intensities do not see. This is the model's one home beside the fused pass, which takes
it apart for speed.

A sine takes as long as twenty products, so that those of differences of phases come from those of
the phases: sin(b - a) = sin b cos a - cos b sin a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.core.model.curves import SHEAR_FACTORS, ModelCurves, ShearFactor, model_curves
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray
from homodyne_cli.parameters import Convention

#: |h| below which sinc and its slope come from their series; next terms are below 5e-15 there.
_SERIES_RADIUS = 0.25


@dataclass(frozen=True)
class PairModel:
    """g1 and f of one angle as functions of pairs of frames, in the precision of its vectors.

    Attributes
    ----------
    decay
        (n,) q^2 A / 2, or (n, n_phi) of all angles.
    phase
        Likewise; the argument of the sinc is its difference.
    form
        The shear factor; None without shear.
    """

    decay: FloatArray
    phase: FloatArray
    form: ShearFactor | None

    # A run directory may hold parameters at which exponentials overflow; threads ask here alone.
    @np.errstate(over="ignore", invalid="ignore")
    def g1(self, i: IndexArray, j: IndexArray) -> FloatArray:
        """Return the signed field correlation at pairs (i, j), which broadcast."""
        g1 = self._amplitude(i, j)
        if self.form is not None:
            g1 *= self._sinc(i, j, self._waves_at(i, j))[1] ** (self.form.power // 2)
        return g1

    def f(self, i: IndexArray, j: IndexArray) -> FloatArray:
        """Return |g1|^2 at pairs (i, j), which broadcast."""
        g1 = self.g1(i, j)
        return np.square(g1, out=g1)

    def with_slope(self, i: IndexArray, j: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Return g1 and df by kappa times strain at pairs (i, j), which broadcast."""
        amplitude = self._amplitude(i, j)
        if self.form is None:
            return amplitude, np.zeros_like(amplitude)
        waves = self._waves_at(i, j)
        h, value, near = self._sinc(i, j, waves)
        slope, others = _sinc_slope(waves, h, value, near), self.form.power // 2 - 1
        inner = amplitude * value**others if others else amplitude
        g1 = inner * value
        slope *= inner
        slope *= g1
        slope *= self.form.power * self.form.scale
        return g1, slope

    def _amplitude(self, i: IndexArray, j: IndexArray) -> FloatArray:
        elapsed = _difference(self.decay, i, j)
        np.abs(elapsed, out=elapsed)
        return np.exp(np.negative(elapsed, out=elapsed), out=elapsed)

    @cached_property
    def _waves(self) -> tuple[FloatArray, FloatArray]:
        """Sine and cosine of the phases, from which those of their differences follow."""
        with np.errstate(invalid="ignore"):
            return np.sin(self.phase), np.cos(self.phase)

    def _waves_at(self, i: IndexArray, j: IndexArray) -> _Waves:
        sine, cosine = self._waves
        return _Waves(_at(sine, i), _at(sine, j), _at(cosine, i), _at(cosine, j))

    def _sinc(
        self, i: IndexArray, j: IndexArray, waves: _Waves
    ) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Return h, sin(h)/h, and where h is so small that both come from series."""
        h = _difference(self.phase, i, j)
        value = waves.sine_j * waves.cosine_i
        value -= waves.cosine_j * waves.sine_i
        near = np.abs(h) < _SERIES_RADIUS
        # No h that is not near is changed by it: faster than a division where it is not.
        value /= h + np.finfo(h.dtype).tiny
        square = np.square(h[near])
        value[near] = 1.0 - square / 6.0 * (
            1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))
        )
        return h, value, near


class _Waves(NamedTuple):
    """Sine and cosine of the phases of both frames of pairs."""

    sine_i: FloatArray
    sine_j: FloatArray
    cosine_i: FloatArray
    cosine_j: FloatArray


def _at(vectors: FloatArray, frames: IndexArray) -> FloatArray:
    """Return vectors (n, ...) at frames; twice as fast as an index."""
    return np.take(vectors, frames, axis=0)


def _difference(vectors: FloatArray, i: IndexArray, j: IndexArray) -> FloatArray:
    return np.asarray(_at(vectors, j) - _at(vectors, i))


def _sinc_slope(
    waves: _Waves, h: FloatArray, value: FloatArray, near: NDArray[np.bool_]
) -> FloatArray:
    slope = waves.cosine_j * waves.cosine_i
    slope += waves.sine_j * waves.sine_i
    slope -= value
    slope /= h + np.finfo(h.dtype).tiny
    small = h[near]
    square = small * small
    series = 1.0 - square / 10.0 * (
        1.0 - square / 28.0 * (1.0 - square / 54.0 * (1.0 - square / 88.0))
    )
    slope[near] = -small / 3.0 * series
    return slope


def sinc(h: FloatArray) -> FloatArray:
    """Return sin(h)/h."""
    # Twice as fast as a division where h is not zero; no other h is changed by it.
    safe = h + np.finfo(h.dtype).tiny
    value = np.sin(safe)
    return np.divide(value, safe, out=value)


def pair_model(
    curves: ModelCurves, angle: int, convention: Convention, dtype: type = np.float64
) -> PairModel:
    """Return the model of one angle, evaluated in the given precision."""
    form = SHEAR_FACTORS[convention]
    return PairModel(
        (0.5 * curves.q[angle] ** 2 * curves.transport).astype(dtype),
        (form.scale * curves.kappa[angle] * curves.strain).astype(dtype),
        form if len(curves.strain_slopes) else None,
    )


def pair_models(curves: ModelCurves, convention: Convention) -> PairModel:
    """Return the models of all angles at once: vectors are (n, n_phi), pairs (..., n_phi)."""
    form = SHEAR_FACTORS[convention]
    return PairModel(
        0.5 * curves.q**2 * curves.transport[:, None],
        form.scale * curves.kappa * curves.strain[:, None],
        form if len(curves.strain_slopes) else None,
    )


@dataclass(frozen=True)
class ModelMaps:
    """Fitted maps contrast * f + offset, evaluated where they are looked at.

    Attributes
    ----------
    angles
        The model of each angle.
    contrast, offset
        (n_phi,).
    dtype
        Of the blocks: that of the data.
    """

    angles: tuple[PairModel, ...]
    contrast: FloatArray
    offset: FloatArray
    dtype: np.dtype[np.generic]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_phi, n, n)."""
        n = len(self.angles[0].decay)
        return (len(self.angles), n, n)

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Return pairs of one angle, above the diagonal or below; `i` and `j` broadcast."""
        values = self.contrast[angle] * self.angles[angle].f(i, j) + self.offset[angle]
        part: MapArray = np.asarray(values, dtype=self.dtype)
        return part

    def block(self, angle: int, rows: slice, columns: slice) -> MapArray:
        """Return rows and columns of the map of one angle."""
        frames = np.arange(self.shape[-1])
        return self.pairs(angle, frames[rows, None], frames[columns])

    def selected(self, frames: IndexArray) -> MapArray:
        """Return the pairs of some frames: (n_phi, m, m)."""
        n_phi = len(self.angles)
        out: MapArray = np.empty((n_phi, len(frames), len(frames)), dtype=self.dtype)

        def fill(angle: int) -> None:
            out[angle] = self.pairs(angle, frames[:, None], frames)

        with core_threads() as threads:
            list(threads.map(fill, range(n_phi)))
        return out


def model_maps(
    dataset: Dataset,
    parameters: FloatArray,
    contrast: FloatArray,
    offset: FloatArray,
    convention: Convention,
) -> ModelMaps:
    """Prepare the maps of a fit.

    Parameters
    ----------
    parameters
        (7,) or (3,) in table order.
    contrast, offset
        (n_phi,).
    """
    curves = model_curves(dataset.t, dataset.phi, dataset.q, dataset.gap, parameters, convention)
    angles = tuple(pair_model(curves, a, convention) for a in range(dataset.n_phi))
    return ModelMaps(angles, contrast, offset, dataset.c2.dtype)


def fitted_maps(
    dataset: Dataset,
    parameters: FloatArray,
    contrast: FloatArray,
    offset: FloatArray,
    convention: Convention,
) -> MapArray:
    """Return contrast * f + offset, (n_phi, n, n) in the precision of the data."""
    model = model_maps(dataset, parameters, contrast, offset, convention)
    return model.selected(np.arange(dataset.n_frames))
