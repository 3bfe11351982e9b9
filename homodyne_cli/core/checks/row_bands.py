"""Data and fit of an angle side by side, in bands of rows: one map at a time is held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, MapSource

#: Fitted maps as an array (n_phi, n, n), of which i < j is read, or evaluated where looked at.
FittedMaps = MapArray | ModelMaps

#: Pairs of a band: a few megabytes.
_PAIRS = 500_000
#: Maps that are read from disk at the same time.
_MAPS_HELD = 2

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


def bands(
    dataset: Dataset, fitted: FittedMaps, angle: int, firsts: IndexArray | None = None
) -> Iterator[Band]:
    """Yield the upper triangle of an angle's maps from top to bottom.

    Parameters
    ----------
    firsts
        First row of each band, the first of them 0; None for bands of a few megabytes.
    """
    maps = dataset.c2[angle]
    n = len(maps)
    starts = np.arange(0, n, max(_PAIRS // n, 1)) if firsts is None else firsts
    for first, last in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
        data: MapArray = maps[first:last, first:]
        keep = np.triu(np.isfinite(data), 1)
        yield Band(first, keep, data, _rows(fitted, angle, first, last))


def _rows(fitted: FittedMaps, angle: int, first: int, last: int) -> MapArray:
    if isinstance(fitted, ModelMaps):
        return fitted.block(angle, slice(first, last), slice(first, None))
    part: MapArray = fitted[angle, first:last, first:]
    return part


def fitted_at(fitted: FittedMaps, angle: int, i: IndexArray, j: IndexArray) -> FloatArray:
    """Return the fit at scattered pairs i < j."""
    if isinstance(fitted, ModelMaps):
        return np.asarray(fitted.pairs(angle, i, j), dtype=float)
    return np.asarray(fitted[angle][i, j], dtype=float)


def fitted_between(fitted: FittedMaps, frames: IndexArray) -> MapArray:
    """Return the fit at the pairs of some frames, (n_phi, m, m)."""
    if isinstance(fitted, ModelMaps):
        return fitted.selected(frames)
    return fitted[:, frames[:, None], frames[None, :]]


def each_angle(
    dataset: Dataset, work: Callable[[int], Result], angles: Iterable[int] | None = None
) -> list[Result]:
    """Return what `work` gives for each angle (None: all), several at a time.

    Of maps on disk no more than two are worked on together, so that no more are in memory.
    """
    with core_threads(_MAPS_HELD if isinstance(dataset.c2, MapSource) else None) as threads:
        return list(threads.map(work, range(dataset.n_phi) if angles is None else angles))
