"""Fitted maps, evaluated where they are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.model.curves import SHEAR_FACTORS, ShearFactor, model_curves
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray
from homodyne_cli.parameters import Convention


@dataclass(frozen=True)
class ModelMaps:
    """contrast * exp(-q^2 |dA|) * S(kappa dG) + offset, block by block.

    Attributes
    ----------
    transport, strain
        (n,) q^2 A and G at the frames.
    kappa
        (n_phi,); zero where there is no shear.
    contrast, offset
        (n_phi,).
    form
        The shear factor.
    dtype
        Of the blocks: that of the data.
    """

    transport: FloatArray
    strain: FloatArray
    kappa: FloatArray
    contrast: FloatArray
    offset: FloatArray
    form: ShearFactor
    dtype: np.dtype[np.generic]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_phi, n, n)."""
        return (len(self.kappa), len(self.transport), len(self.transport))

    def block(self, angle: int, rows: slice | IndexArray, columns: slice | IndexArray) -> MapArray:
        """Return part of the map of one angle, above the diagonal or below."""
        elapsed = self.transport[columns] - self.transport[rows][:, None]
        return self._evaluated(angle, elapsed, self.strain[columns] - self.strain[rows][:, None])

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Return scattered pairs of one angle; shape of `i` and `j`."""
        elapsed = self.transport[j] - self.transport[i]
        return self._evaluated(angle, elapsed, self.strain[j] - self.strain[i])

    def _evaluated(self, angle: int, elapsed: FloatArray, h: FloatArray) -> MapArray:
        """Evaluate the model at differences of transport and strain; `h` is overwritten."""
        decay = np.exp(-np.abs(elapsed))
        h *= self.form.scale * self.kappa[angle] / np.pi
        values = decay * np.sinc(h) ** self.form.power
        part: MapArray = np.asarray(
            self.contrast[angle] * values + self.offset[angle], dtype=self.dtype
        )
        return part

    def selected(self, frames: IndexArray) -> MapArray:
        """Return the pairs of some frames: (n_phi, m, m)."""
        out: MapArray = np.empty((self.shape[0], len(frames), len(frames)), dtype=self.dtype)

        def fill(angle: int) -> None:
            out[angle] = self.block(angle, frames, frames)

        with core_threads() as threads:
            list(threads.map(fill, range(self.shape[0])))
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
    return ModelMaps(
        transport=dataset.q**2 * curves.transport,
        strain=curves.strain,
        kappa=curves.kappa,
        contrast=contrast,
        offset=offset,
        form=SHEAR_FACTORS[convention],
        dtype=dataset.c2.dtype,
    )


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
