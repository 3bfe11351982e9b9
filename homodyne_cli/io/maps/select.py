"""Choose the ring, the angles and the frames of a set of maps, and mask what is not to be fitted.

Pure array functions: nothing here knows about files, except to name one in an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.formats.halves import BoolArray

IndexArray = NDArray[np.intp]

#: A wave vector asked for may differ from the nearest ring by this fraction.
Q_TOLERANCE: Final = 0.1
#: Frames that must be left to fit.
MIN_FRAMES: Final = 3

#: Relative gaps between q that part rings. Files give a ring one q, to rounding, or every bin its
#: mean q, which differs by angle: those belong together if no angle is there twice and the ring is
#: no wider than the third of these.
_LOOSE: Final = 0.01
_STRICT: Final = 0.001
_WIDEST_RING: Final = 0.03
#: Degrees by which an angle may miss the edge of a range: the rounding of float32 files.
_PHI_EDGE: Final = 1e-4
_LISTED: Final = 40


def listed(values: FloatArray) -> str:
    """Return up to 40 numbers as text, for an error message."""
    text = ", ".join(f"{value:.6g}" for value in values[:_LISTED])
    return text if len(values) <= _LISTED else f"{text}, ... ({len(values)} in all)"


def _split_at_gaps(q: FloatArray, tolerance: float) -> IndexArray:
    order = np.argsort(q, kind="stable")
    ordered = q[order]
    starts = np.concatenate([[False], np.diff(ordered) > tolerance * ordered[:-1]])
    ids = np.empty(len(q), dtype=np.intp)
    ids[order] = np.cumsum(starts)
    return ids


def ring_ids(q: FloatArray, phi: FloatArray | None) -> IndexArray:
    """Group maps into rings of equal wave vector.

    Some files give every (q, phi) bin the mean q of its own pixels, so that the bins of one
    ring differ by a fraction of a percent. Such a group counts as one ring only when it is
    narrow and holds every angle once; otherwise just q equal to 0.1 % go together. Maps
    whose q is not a positive number, or whose angle is none, get -1.

    Parameters
    ----------
    q
        (n_maps,) wave vectors.
    phi
        (n_maps,) angles in degrees, None if the file has none.

    Returns
    -------
    IndexArray
        (n_maps,) ring numbers, ascending with q.
    """
    known = np.isfinite(q) & (q > 0)
    if phi is not None:
        known &= np.isfinite(phi)
    values = q[known]
    ids = np.full(len(q), -1, dtype=np.intp)
    strict = _split_at_gaps(values, _STRICT)
    if phi is None:
        ids[known] = strict
        return ids
    angles = phi[known]
    loose = _split_at_gaps(values, _LOOSE)
    merged = strict.copy()
    for ring in np.unique(loose):
        members = np.flatnonzero(loose == ring)
        narrow = values[members].max() <= (1 + _WIDEST_RING) * values[members].min()
        turned = np.round(np.mod(angles[members], 360.0), 3)
        if narrow and len(np.unique(turned)) == len(members):
            merged[members] = strict[members].min()
    ids[known] = np.unique(merged, return_inverse=True)[1]
    return ids


def ring_values(q: FloatArray, rings: IndexArray) -> FloatArray:
    """Return the (n_rings,) mean wave vector of each ring, in the order of ring numbers."""
    means = [q[rings == ring] for ring in np.unique(rings[rings >= 0])]
    return np.array([v[0] if np.all(v == v[0]) else v.mean() for v in means], dtype=np.float64)


def choose_ring(
    q: FloatArray, rings: IndexArray, target: float | None, *, path: Path | None = None
) -> tuple[IndexArray, float]:
    """Return the maps of the ring nearest to `target` and the ring's wave vector.

    Raises
    ------
    DataError
        The nearest ring is more than 10 % away, or there are several and `target` is None.
    """
    values = ring_values(q, rings)
    if len(values) == 0:
        raise DataError("no map has a usable wave vector", path=path)
    numbers = np.unique(rings[rings >= 0])
    available = f"rings in the file (1/Å): {listed(values)}"
    if target is None:
        if len(values) > 1:
            raise DataError(
                f"the file holds {len(values)} rings and the config names none; {available}",
                path=path,
                hint="set analyzer_parameters.scattering.wavevector_q to one of them",
                code=Code.RING,
            )
        nearest = 0
    else:
        nearest = int(np.argmin(np.abs(values - target)))
        if not abs(values[nearest] - target) <= Q_TOLERANCE * target:
            raise DataError(
                f"no ring within {Q_TOLERANCE:.0%} of q = {target:.6g} 1/Å; {available}",
                path=path,
                hint=_ring_hint(values, target),
                code=Code.RING,
            )
    return np.flatnonzero(rings == numbers[nearest]), float(values[nearest])


def _ring_hint(values: FloatArray, target: float) -> str:
    """Say what to set; a ring ten times off is one in the other unit."""
    key = "analyzer_parameters.scattering.wavevector_q"
    lower, higher = (values[np.argmin(np.abs(values - f * target))] for f in (0.1, 10.0))
    if abs(lower - target / 10.0) <= Q_TOLERANCE * lower:
        return f"is {target:.6g} in 1/nm? In 1/Å it is: --set {key}={lower:.6g}"
    if abs(higher - target * 10.0) <= Q_TOLERANCE * higher:
        return "is the file's q in 1/nm? Give it the attribute units = '1/nm'"
    return f"set {key} to one of them"


def phi_mask(phi: FloatArray, ranges: Sequence[tuple[float, float]]) -> BoolArray:
    """Return which angles lie in any of the ranges, modulo 360 degrees.

    A range runs from its first to its second number in the positive sense: (170, -170) is
    20 degrees wide, (-10, 10) likewise; 360 or more is every angle.
    """
    keep = np.zeros(len(phi), dtype=np.bool_)
    for low, high in ranges:
        width = high - low if high - low >= 360.0 else (high - low) % 360.0
        ahead = np.mod(phi - low, 360.0)
        keep |= (ahead <= width + _PHI_EDGE) | (ahead >= 360.0 - _PHI_EDGE)
    return keep


def choose_angles(
    phi: FloatArray,
    ranges: Sequence[tuple[float, float]] | None,
    *,
    path: Path | None = None,
) -> IndexArray:
    """Return the indices of the angles to keep.

    Raises
    ------
    DataError
        No angle is left.
    """
    if ranges is None:
        return np.arange(len(phi))
    kept = np.flatnonzero(phi_mask(phi, ranges))
    if len(kept) == 0:
        wanted = ", ".join(f"{low:g} to {high:g}" for low, high in ranges) or "none"
        raise DataError(
            f"no angle is left by phi_filtering ({wanted}); "
            f"angles of this ring (degrees): {listed(np.sort(phi))}",
            path=path,
            hint="widen phi_filtering.target_ranges or set phi_filtering.enabled to false",
        )
    return kept


@dataclass(frozen=True)
class FrameWindow:
    """The frames that are fitted.

    Attributes
    ----------
    first, last
        First and last selected frame, counted from 1 in the file, both included; `first` is
        t = 0 and is not fitted.
    low, high
        Half-open range of stored rows that are fitted.
    """

    first: int
    last: int
    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of fitted frames."""
        return self.high - self.low


def frame_window(
    start: int, end: int, n_frames: int, *, numbered_from: int = 1, path: Path | None = None
) -> FrameWindow:
    """Return the fitted rows for frames `start` to `end` (counted from 1, -1 is the last).

    Parameters
    ----------
    start, end
        As in the config.
    n_frames
        Rows that the file stores.
    numbered_from
        Number of the first stored frame.

    Raises
    ------
    DataError
        Outside of the file, or fewer than 3 frames are left to fit.
    """
    final = numbered_from + n_frames - 1
    last = final if end == -1 else end
    if not (numbered_from <= start <= last <= final):
        raise DataError(
            f"frames {start} to {end} are out of range: "
            f"the file holds {n_frames} frames, {numbered_from} to {final}",
            path=path,
            hint="analyzer_parameters.start_frame and end_frame count from 1, both included; "
            "end_frame -1 is the last",
            code=Code.FRAMES,
        )
    window = FrameWindow(start, last, start - numbered_from + 1, last - numbered_from + 1)
    if window.size < MIN_FRAMES:
        raise DataError(
            f"frames {start} to {last} leave {window.size} to fit (the first is t = 0 and is "
            f"not fitted); at least {MIN_FRAMES} are needed, the file holds {n_frames}",
            path=path,
            hint=f"select {MIN_FRAMES + 1} or more frames",
        )
    return window


def bad_positions(
    bad_frames: Sequence[int],
    window: FrameWindow,
    n_frames: int,
    *,
    numbered_from: int = 1,
    path: Path | None = None,
) -> IndexArray:
    """Return the positions of the bad frames among the fitted ones.

    Bad frames outside of the window do no harm; a number that the file does not have is an
    error, since it is most likely a slip.
    """
    numbers = np.unique(np.asarray(bad_frames, dtype=np.intp))
    final = numbered_from + n_frames - 1
    outside = numbers[(numbers < numbered_from) | (numbers > final)]
    if len(outside):
        raise DataError(
            f"bad frames {', '.join(map(str, outside[:_LISTED]))} are not in the file, "
            f"which holds frames {numbered_from} to {final}",
            path=path,
            hint="correct experimental_data.bad_frames (frames count from 1)",
            code=Code.FRAMES,
        )
    positions = numbers - numbered_from - window.low
    return positions[(positions >= 0) & (positions < window.size)]


@dataclass(frozen=True)
class Masked:
    """What was left out of one map.

    Attributes
    ----------
    pairs
        All pairs i < j that are not fitted.
    without_value
        Those of them outside of masked frames: their value is not finite.
    empty_frames
        Positions of frames that hold no counts.
    """

    pairs: int
    without_value: int
    empty_frames: tuple[int, ...]


def mask_map(block: MapArray, bad: IndexArray, upper: BoolArray) -> Masked:
    """Mark in place with NaN the pairs of one map that are not fitted.

    Bad frames become NaN rows and columns. So do frames whose every pair is exactly zero: a
    correlator writes that for a frame without counts, and one such pair alone is a value that
    sparse data do have. Only pairs i < j are looked at otherwise.
    """
    with_counts = (block != 0) & upper
    empty = np.flatnonzero(~(with_counts.any(axis=0) | with_counts.any(axis=1)))
    for frames in (bad, empty):
        block[frames, :] = np.nan
        block[:, frames] = np.nan
    hidden = upper & ~np.isfinite(block)
    block[hidden] = np.nan
    pairs = int(np.count_nonzero(hidden))
    whole, left = len(block), len(block) - len(np.union1d(bad, empty))
    in_frames = (whole * (whole - 1) - left * (left - 1)) // 2
    return Masked(pairs, pairs - in_frames, tuple(int(k) for k in np.setdiff1d(empty, bad)))
