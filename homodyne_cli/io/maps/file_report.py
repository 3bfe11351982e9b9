"""What is in a data file, told whether or not it can be fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homodyne_cli.core.maps.levels import MapLevels, map_levels
from homodyne_cli.dataset import Dataset, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.halves import Half, asymmetry, stored_half, upper_pairs
from homodyne_cli.io.formats.hdf5_access import Hdf5File, open_hdf5
from homodyne_cli.io.formats.layouts import file_kind, open_source
from homodyne_cli.io.formats.npz_access import open_npz
from homodyne_cli.io.formats.raw_source import RawSource
from homodyne_cli.io.maps.select import choose_ring, ring_ids, ring_values

#: Maps that are not equal to their mirror image by more than this are said to be so.
_SYMMETRIC = 1e-3
#: Arrays listed of a file, and how deep groups are followed.
_MOST_ARRAYS, _DEEPEST = 200, 8


@dataclass(frozen=True)
class StoredArray:
    """An array of a file, by name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class RingReport:
    """A ring: q in 1/Å, and its angles in degrees; empty if the file has none."""

    q: float
    phi: tuple[float, ...]


@dataclass(frozen=True)
class MapReport:
    """One map.

    Attributes
    ----------
    phi
        Degrees; NaN if the file has no angles.
    half, symmetric
        Where its values are, and whether both halves agree.
    n_pairs, n_missing
        Pairs i < j, and those that are not finite.
    levels
        None if no pair is finite.
    """

    name: str
    phi: float
    half: Half
    symmetric: bool
    n_pairs: int
    n_missing: int
    levels: MapLevels | None


@dataclass(frozen=True)
class FileReport:
    """What a data file holds.

    Attributes
    ----------
    layout, n_maps, n_frames, numbered_from
        As it is read; None and 0 where it cannot be.
    began, began_source
        Seconds from the beginning of the measurement to the first frame and where from; None if
        the file does not say.
    dt, dt_source
        Seconds between frames and where from; None if the file does not say.
    q_source, phi_source, units
        Where these come from, and of which the unit is known.
    rings
        All of the file.
    ring
        q of the ring whose `maps` were looked at.
    shown
        The first of them, as stored above its diagonal.
    problem
        Why it cannot be fitted; empty if it can.
    arrays
        What it holds, where its layout is not known.
    """

    path: Path
    layout: str | None = None
    n_maps: int = 0
    n_frames: int = 0
    numbered_from: int = 1
    began: float | None = None
    began_source: str = ""
    dt: float | None = None
    dt_source: str = ""
    q_source: str = ""
    phi_source: str = ""
    units: frozenset[str] = frozenset()
    rings: tuple[RingReport, ...] = ()
    ring: float | None = None
    maps: tuple[MapReport, ...] = ()
    shown: MapArray | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""
    arrays: tuple[StoredArray, ...] = ()


def report_on(path: Path, q: float | None = None) -> FileReport:
    """Look into a data file.

    Parameters
    ----------
    q
        Picks the ring whose maps are looked at, in 1/Å; None: the one with most maps.

    Raises
    ------
    DataError
        There is no such file, or nothing in it can be read.
    """
    file_kind(path)
    try:
        with open_source(path) as raw:
            return _report(raw, q)
    except DataError as error:
        arrays = tuple(_arrays(path))
        if not arrays:
            raise
        hint = f" ({error.hint})" if error.hint else ""
        return FileReport(path, problem=f"{error}{hint}", arrays=arrays)


def _report(raw: RawSource, q: float | None) -> FileReport:
    rings = None
    if raw.q is not None:
        rings = ring_ids(raw.q, raw.phi) if raw.rings is None else raw.rings
    index, ring = np.arange(len(raw.maps)), q
    if raw.q is not None and rings is not None:
        values = ring_values(raw.q, rings)
        if q is None and len(values):
            counts = np.unique(rings[rings >= 0], return_counts=True)[1]
            q = float(values[int(np.argmax(counts))])
        index, ring = choose_ring(raw.q, rings, q, path=raw.path)
    maps, shown = [], None
    for k in index.tolist():
        report, block = _map_report(raw, k)
        maps.append(report)
        shown = block if shown is None else shown
    return FileReport(
        path=raw.path,
        layout=raw.layout,
        n_maps=len(raw.maps),
        n_frames=raw.shapes[0][-1] if raw.shapes[0] else 0,
        numbered_from=raw.numbered_from,
        began=None if raw.began is None else raw.began.seconds,
        began_source="" if raw.began is None else raw.began.source,
        dt=None if raw.interval is None else raw.interval.seconds,
        dt_source="" if raw.interval is None else raw.interval.source,
        q_source="" if raw.q is None else raw.q_source,
        phi_source="" if raw.phi is None else raw.phi_source,
        units=raw.units,
        rings=() if rings is None else tuple(_rings(raw, rings)),
        ring=ring,
        maps=tuple(maps),
        shown=shown,
        notes=raw.notes,
    )


def _rings(raw: RawSource, rings: np.ndarray) -> Iterator[RingReport]:
    assert raw.q is not None
    for number, q in zip(np.unique(rings[rings >= 0]), ring_values(raw.q, rings), strict=True):
        phi = () if raw.phi is None else tuple(raw.phi[rings == number].tolist())
        yield RingReport(float(q), phi)


def _map_report(raw: RawSource, k: int) -> tuple[MapReport, MapArray]:
    shape = raw.shapes[k]
    if len(shape) != 2 or shape[0] != shape[1]:
        raise DataError(f"has shape {shape}; a square map is needed", path=raw.path,
                        dataset=raw.maps[k])  # fmt: skip
    block = raw.read(k, 0, shape[0])
    upper = upper_pairs(len(block))
    half = stored_half(block, upper)
    symmetric = half != "full" or asymmetry(block) <= _SYMMETRIC
    one = (block.T if half == "lower" else block) + raw.shift
    finite = np.isfinite(one) & upper
    n_pairs, n_finite = int(np.count_nonzero(upper)), int(np.count_nonzero(finite))
    return MapReport(
        name=raw.maps[k],
        phi=float("nan") if raw.phi is None else float(raw.phi[k]),
        half=half,
        symmetric=symmetric,
        n_pairs=n_pairs,
        n_missing=n_pairs - n_finite,
        levels=_levels(np.where(upper, one, np.nan)) if n_finite else None,
    ), one


def _levels(one: MapArray) -> MapLevels:
    """Look at one map, of which the first frame is t = 0 and not fitted."""
    inner = one[None, 1:, 1:]
    n = inner.shape[1]
    data = Dataset(inner, np.zeros(1), np.arange(1.0, n + 1.0), np.ones(1), None, 1.0, None, {})
    return map_levels(data)[0]


def _arrays(path: Path) -> Iterator[StoredArray]:
    """Yield what a file holds whose layout is not known."""
    with ExitStack() as held:
        try:
            if file_kind(path) == "npz":
                archive = held.enter_context(open_npz(path))
                for name in archive.names[:_MOST_ARRAYS]:
                    stack = archive.stack(name)
                    yield StoredArray(name, stack.shape, str(stack.dtype))
            else:
                yield from _below(held.enter_context(open_hdf5(path)), "", 0)
        except DataError:
            return


def _below(file: Hdf5File, group: str, depth: int) -> Iterator[StoredArray]:
    for name in file.members(group or "/")[:_MOST_ARRAYS]:
        place = f"{group}/{name}"
        if file.is_dataset(place):
            yield StoredArray(place, file.shape(place), str(file.dtype(place)))
        elif depth < _DEEPEST and file.is_group(place):
            yield from _below(file, place, depth + 1)
