"""Data and fit side by side, and the noise between them: one map at a time is held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from homodyne_cli.core.maps.map_threads import map_threads
from homodyne_cli.core.maps.pair_noise import estimate_sigma
from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray
from homodyne_cli.results import OnCount, unfollowed

#: Fitted maps as an array (n_phi, n, n), of which i < j is read, or evaluated where looked at.
FittedMaps = MapArray | ModelMaps

#: Pairs of a band: a few megabytes.
_PAIRS = 500_000

Result = TypeVar("Result")


@dataclass(frozen=True)
class Band:
    """Rows of one angle's map from the frame `first` on, columns from the same frame on.

    Attributes
    ----------
    first
        Frame of the first row and of the first column.
    keep
        (rows, columns) whether a pair is fitted: i < j and not masked.
    data, fit
        (rows, columns); arbitrary where `keep` is False.
    """

    first: int
    keep: np.ndarray
    data: MapArray
    fit: MapArray

    @cached_property
    def residual(self) -> FloatArray:
        """(rows, columns) data - fit, zero where `keep` is False."""
        return np.where(self.keep, self.data - self.fit.astype(float), 0.0)


@dataclass(frozen=True)
class Residuals:
    """What a fit leaves over, and the noise to judge it by.

    Checks ask here how large noise is, so that a noise other than white is a change in one place:
    what is white is that `standardised` divides pair by pair and that the error of an amplitude
    follows from the pattern's sum of squares alone.

    Attributes
    ----------
    fitted
        (n_phi, n, n), or evaluated where looked at.
    sigma
        (n_phi,) noise per c2 value.
    """

    dataset: Dataset
    fitted: FittedMaps
    sigma: FloatArray

    def bands(self, angle: int, firsts: IndexArray | None = None) -> Iterator[Band]:
        """Yield the upper triangle of an angle's maps from top to bottom.

        Parameters
        ----------
        firsts
            First row of each band, the first of them 0; None for bands of a few megabytes.
        """
        maps = self.dataset.c2[angle]
        n = len(maps)
        starts = np.arange(0, n, max(_PAIRS // n, 1)) if firsts is None else firsts
        for first, last in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
            data: MapArray = maps[first:last, first:]
            keep = np.triu(np.isfinite(data), 1)
            yield Band(first, keep, data, self._fit_of(angle, first, last))

    def _fit_of(self, angle: int, first: int, last: int) -> MapArray:
        if isinstance(self.fitted, ModelMaps):
            return self.fitted.block(angle, slice(first, last), slice(first, None))
        part: MapArray = self.fitted[angle, first:last, first:]
        return part

    def standardised(self, angle: int, band: Band) -> FloatArray:
        """Return the residual of a band in units of its noise, zero where there is none."""
        return np.asarray(band.residual / self.sigma[angle])

    def amplitude_error(self, angle: int, squares: FloatArray | float) -> FloatArray:
        """Return the standard error of the least-squares amplitude of a pattern.

        Parameters
        ----------
        squares
            The pattern's sum of squares over pairs: their number for a mean.
        """
        return np.asarray(self.sigma[angle] / np.sqrt(squares))

    def with_measured_noise(self) -> Residuals:
        """Return the same with no less noise than between neighbouring pairs.

        Where noise is correlated sigma says what an angle counts, which may be less.
        """
        return replace(self, sigma=np.maximum(self.sigma, estimate_sigma(self.dataset)))

    def fit_at(self, angle: int, i: IndexArray, j: IndexArray) -> FloatArray:
        """Return the fit at scattered pairs i < j."""
        if isinstance(self.fitted, ModelMaps):
            return np.asarray(self.fitted.pairs(angle, i, j), dtype=float)
        return np.asarray(self.fitted[angle][i, j], dtype=float)

    def fit_between(self, frames: IndexArray) -> MapArray:
        """Return the fit at the pairs of some frames, (n_phi, m, m)."""
        if isinstance(self.fitted, ModelMaps):
            return self.fitted.selected(frames)
        return self.fitted[:, frames[:, None], frames[None, :]]

    def each_angle(
        self,
        work: Callable[[int], Result],
        angles: Sequence[int] | None = None,
        on_map: OnCount = unfollowed,
    ) -> list[Result]:
        """Return what `work` gives for each angle (None: all), several at a time.

        Of maps on disk no more than two are worked on together, so that no more are in memory.
        `on_map` is told of each angle that is done.
        """
        chosen = range(self.dataset.n_phi) if angles is None else angles
        with map_threads(self.dataset) as threads:
            results = []
            for result in threads.map(work, chosen):
                results.append(result)
                on_map(len(results), len(chosen))
            return results
