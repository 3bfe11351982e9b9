"""Windows of consecutive frames, on which the noise of a map is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.pair_precision import PairPrecision, absent_pairs
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray

#: Maps up to so many frames are looked at whole, unless they are many; of others a few windows,
#: spread over them, of so many frames each: eigenvectors and products cost the third power.
_WHOLE, _FRAMES, _MANY = 200, 128, 64
#: Windows of an angle, and of all angles together if there are that many: M is then known to 3%.
_WINDOWS, _ENOUGH = 3, 16


@dataclass(frozen=True)
class Window:
    """Consecutive frames of one angle.

    Attributes
    ----------
    angle
        Its number.
    g1, residual
        (n, n) field correlation, and data minus fit, symmetric, zero where there is none.
    present
        (n, n) 1 where there are data, zero on the diagonal.
    contrast
        Of the fit.
    """

    angle: int
    g1: FloatArray
    residual: FloatArray
    present: FloatArray
    contrast: float

    @cached_property
    def eigen(self) -> tuple[FloatArray, FloatArray]:
        """Eigenvalues (n,) of F, strongest first, and its eigenvectors."""
        values, vectors = np.linalg.eigh(self.g1**2)
        return np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1])

    def covariance(self, photon_noise: float, modes: float) -> SpeckleCovariance:
        """Return C for this window."""
        modes = min(modes, 1.0 / self.contrast)
        return SpeckleCovariance(self.g1, self.contrast, photon_noise, modes, self.present)

    def precision(self, photon_noise: float) -> PairPrecision:
        """Return the inverse of its main part, with all eigenvectors."""
        values, vectors = self.eigen
        shrink = 1.0 - photon_noise / (self.contrast * values + photon_noise)
        return PairPrecision(
            vectors, shrink, photon_noise, *absent_pairs(self.present, len(vectors))
        )


def residual_windows(dataset: Dataset, fitted: ModelMaps) -> list[Window]:
    """Cut the residuals of a fit into windows; frames without any pair leave."""
    n = dataset.n_frames
    count = min(_WINDOWS, -(-_ENOUGH // dataset.n_phi))
    whole = n <= (_WHOLE if dataset.n_phi < _MANY else _FRAMES)
    size, count = (n, 1) if whole else (_FRAMES, count)
    starts = [0] if whole else np.linspace(0, n - size, count + 2)[1:-1]
    windows: list[Window] = []
    with core_threads() as threads:
        for start in starts:
            frames = int(start) + np.arange(size)
            data = dataset.selected(frames)
            angles = range(dataset.n_phi)
            cut = threads.map(_window, angles, repeat(frames), data, repeat(fitted))
            windows += [window for window in cut if window is not None]
    return windows


def _window(angle: int, frames: IndexArray, data: MapArray, fitted: ModelMaps) -> Window | None:
    known = np.triu(np.isfinite(data), 1)
    known |= known.T
    kept = known.any(axis=1)
    if not kept.any():
        return None
    frames, known = frames[kept], known[np.ix_(kept, kept)]
    g1 = fitted.angles[angle].g1(frames[:, None], frames)
    contrast = float(fitted.contrast[angle])
    upper = np.triu(np.where(known, data[np.ix_(kept, kept)], 0.0), 1)
    fit = fitted.offset[angle] + contrast * g1**2
    residual = np.where(known, upper + upper.T - fit, 0.0)
    return Window(angle, g1, residual, known.astype(float), min(contrast, 1.0))
