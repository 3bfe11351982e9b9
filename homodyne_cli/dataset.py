"""The data that a fit starts from: maps of rings and repeats, frozen, reaching back to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.errors import StreamedError
from homodyne_cli.findings.finding import Finding

FloatArray = NDArray[np.float64]

IndexArray = NDArray[np.intp]

#: Correlation maps keep the precision of their file: float32 or float64.
MapArray = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Provenance:
    """A resolved quantity, as text, and where it came from."""

    value: str
    source: str


@dataclass(frozen=True)
class Stated:
    """What a data file states, where that need not be what was taken.

    Attributes
    ----------
    dt
        Frame interval in seconds; None if it states none.
    n_phi
        Angles of the ring, before any were left out; 0 if not known.
    units
        ``q`` and ``phi``, where their unit is known rather than assumed.
    unusable
        Pairs left out for what the file holds, not because the config says so.
    first_frame
        The file's number of the frame at t = 0.
    """

    dt: float | None = None
    n_phi: int = 0
    units: frozenset[str] = frozenset()
    unusable: int = 0
    first_frame: int = 1


@dataclass(frozen=True)
class Moments:
    """Per-angle sums over fitted pairs, in double precision.

    Attributes
    ----------
    count, y, yy
        (n_phi,) sums of w, w*y, w*y^2, where y is counted from `shift` and w is the pair weight.
    shift
        (n_phi,) about the mean of the data; subtracting it keeps the sums of squares accurate.
    n_points
        (n_phi,) number of fitted pairs.
    """

    count: FloatArray
    y: FloatArray
    yy: FloatArray
    shift: FloatArray
    n_points: FloatArray


@runtime_checkable
class MapSource(Protocol):
    """Maps too large for memory, kept on disk as tiles of the upper triangle.

    Row by row, every tile for all angles together, NaN where a pair is not fitted.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_phi, n, n)."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the values: float32 or float64."""
        ...

    @property
    def moments(self) -> Moments:
        """Sums over all pairs, each of weight 1."""
        ...

    def tiles(self, first: int, last: int) -> MapArray:
        """Read tiles `first` to `last` - 1: (last - first, n_phi, side, side)."""
        ...

    def selected(self, frames: IndexArray) -> MapArray:
        """Read the pairs of some frames, valid for i < j: (n_phi, m, m)."""
        ...

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Read scattered pairs of one angle, valid for i < j; shape of `i` and `j`."""
        ...

    def __getitem__(self, angle: int) -> MapArray:
        """Read the whole map of one angle, valid for i < j: (n, n)."""
        ...


@dataclass(frozen=True)
class Rows:
    """Which maps there are: angle, ring and repeat of each; see `Dataset`.

    Attributes
    ----------
    phi, q
        (n_phi,) degrees and 1/Å.
    repeat
        (n_phi,) from 0; None where there is one measurement.
    """

    phi: FloatArray
    q: FloatArray
    repeat: IndexArray | None = None

    @property
    def rings(self) -> FloatArray:
        """(n_rings,) wave vectors, ascending."""
        return np.unique(self.q)

    @property
    def n_repeats(self) -> int:
        """Number of measurements."""
        return 1 if self.repeat is None else int(self.repeat.max()) + 1

    @property
    def columns(self) -> dict[str, list[str]]:
        """What tells maps apart, as columns of a table: angle, and what there are several of."""
        told = {}
        if self.repeat is not None:
            told["repeat"] = [str(k + 1) for k in self.repeat.tolist()]
        if len(self.rings) > 1:
            told["q (1/Å)"] = [f"{q:.5g}" for q in self.q.tolist()]
        return {**told, "phi (deg)": [f"{phi:.2f}" for phi in self.phi.tolist()]}

    def place(self, row: int, angle: str = "phi = {:.4g} deg") -> str:
        """Say which map one is: by its angle, and by what else there are several of."""
        *several, _ = self.columns
        parts = [angle.format(self.phi[row])]
        if "q (1/Å)" in several:
            parts.insert(0, f"q = {self.q[row]:.4g} 1/Å")
        if self.repeat is not None:
            parts.insert(0, f"repeat {self.repeat[row] + 1}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Dataset:
    """Two-time correlation maps, ready to fit.

    Each is that of one angle on one ring, in one of the repeats of a measurement; all have the same
    frames.

    Attributes
    ----------
    c2
        (n_phi, n, n) maps; only ``i < j`` is used, NaN marks a pair that is not fitted.
        Frame k = 0 (t = 0) is not in it. Maps larger than the memory budget stay on disk.
    phi
        (n_phi,) detector angles in degrees, one a map: those of one ring after those of another.
    t
        (n,) times in seconds, ``k*dt`` for k = 1, 2, ...
    q
        (n_phi,) 1/Å of each map.
    gap, dt
        Å (None in static mode when not given), s.
    sigma
        Noise per c2 value: None (to be estimated), (n_phi,) or (n_phi, n, n).
    provenance
        Provenance q, phi, dt, frames, sigma, layout, each with its source, for display.
    n_masked
        Pairs i < j left out because of bad frames or non-finite values.
    notes
        Sentences the user should read (how the file was read, what was assumed).
    stated
        What the file states beside what was taken.
    findings
        What makes the data and their selection doubtful; None before that was looked at.
    repeat
        (n_phi,) which of the repeats each map is of, from 0; None where there is one measurement.
    pixels
        (n_phi,) detector pixels that a map is the mean over; None where the file does not say.
    linked
        Files that links and virtual datasets of the data files lead to.
    """

    c2: MapArray | MapSource
    phi: FloatArray
    t: FloatArray
    q: FloatArray
    gap: float | None
    dt: float
    sigma: FloatArray | None
    provenance: Mapping[str, Provenance]
    n_masked: int = 0
    notes: tuple[str, ...] = ()
    stated: Stated = Stated()
    findings: tuple[Finding, ...] | None = None
    repeat: IndexArray | None = None
    pixels: FloatArray | None = None
    linked: tuple[Path, ...] = ()

    @property
    def rows(self) -> Rows:
        """Which maps there are."""
        return Rows(self.phi, self.q, self.repeat)

    def place(self, angle: int) -> str:
        """Say which map it is: by its angle, and by ring and repeat where there are several."""
        return self.rows.place(angle)

    @property
    def array(self) -> MapArray:
        """The maps as one array.

        Raises
        ------
        StreamedError
            They are kept on disk.
        """
        if isinstance(self.c2, MapSource):
            raise StreamedError(
                "the maps are larger than the memory budget and this step needs them whole",
                hint="give it more memory (--memory), or fewer frames (analyzer_parameters)",
            )
        return self.c2

    def selected(self, frames: IndexArray) -> MapArray:
        """Return the pairs of some frames (ascending indices), valid for i < j: (n_phi, m, m)."""
        if isinstance(self.c2, MapSource):
            return self.c2.selected(frames)
        return self.c2[:, frames[:, None], frames[None, :]]

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Return scattered pairs of one angle, valid for i < j; shape of `i` and `j`."""
        if isinstance(self.c2, MapSource):
            return self.c2.pairs(angle, i, j)
        values: MapArray = self.c2[angle][i, j]
        return values

    def of_maps(self, chosen: IndexArray) -> Dataset:
        """Return some of the maps, in that order; all of them are in memory."""
        return replace(
            self,
            c2=self.array[chosen],
            phi=self.phi[chosen],
            q=self.q[chosen],
            sigma=None if self.sigma is None else self.sigma[chosen],
            repeat=None if self.repeat is None else self.repeat[chosen],
            pixels=None if self.pixels is None else self.pixels[chosen],
        )

    @property
    def pixel_share(self) -> FloatArray:
        """(n_phi,) pixels of each map over their mean; ones where they are not known."""
        if self.pixels is None:
            return np.ones(self.n_phi)
        return np.asarray(self.pixels / self.pixels.mean())

    @property
    def n_phi(self) -> int:
        """Number of angles."""
        return int(self.c2.shape[0])

    @property
    def n_frames(self) -> int:
        """Number of fitted frames (k = 0 left out)."""
        return int(self.c2.shape[1])


def join_rings(datasets: Sequence[Dataset]) -> Dataset:
    """Return the maps of several rings of one measurement as one; all of them are in memory."""
    sigma = [one.sigma for one in datasets if one.sigma is not None]
    return replace(
        datasets[0],
        c2=np.concatenate([one.array for one in datasets]),
        phi=np.concatenate([one.phi for one in datasets]),
        q=np.concatenate([one.q for one in datasets]),
        sigma=np.concatenate(sigma) if sigma else None,
    )
