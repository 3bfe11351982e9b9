"""Load the chosen maps one by one, bring them to the half above the diagonal and mask them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray, MapSource
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.halves import asymmetry, stored_half, upper_pairs
from homodyne_cli.io.formats.raw_source import BlockReader, RawSource
from homodyne_cli.io.maps.select import FrameWindow, Masked, mask_map
from homodyne_cli.results import OnCount, unfollowed

#: Relative difference of the halves beyond which one is not the other in float32: it is told.
_NOT_SYMMETRIC: Final = 1e-3


class MapSink(Protocol):
    """Takes maps one by one: those of one file after those of another."""

    @property
    def n_put(self) -> int:
        """Number of maps that it has."""
        ...

    @property
    def n_maps(self) -> int:
        """Number of maps that it takes."""
        ...

    def put(self, one: MapArray) -> None:
        """Take the next one, (n, n), valid for i < j; NaN marks pairs that are not fitted."""
        ...

    def maps(self) -> MapArray | MapSource:
        """Return all that was put in."""
        ...


@dataclass
class HeldMaps:
    """Maps in memory: `whole` (n_maps, n, n) is filled from the first one on."""

    whole: MapArray
    n_put: int = 0

    @property
    def n_maps(self) -> int:
        """Number of maps that it takes."""
        return len(self.whole)

    def put(self, one: MapArray) -> None:
        """Take the next one."""
        self.whole[self.n_put] = one
        self.n_put += 1

    def maps(self) -> MapArray:
        """Return all that was put in."""
        return self.whole


@dataclass(frozen=True)
class Loaded:
    """What is known of maps once they are loaded.

    Attributes
    ----------
    sigma
        (n_maps, n, n) where the file has noise per pair.
    n_masked
        Pairs i < j that are NaN.
    halves
        Which halves the file has filled, for display.
    notes
        Sentences the user should read.
    """

    sigma: FloatArray | None
    n_masked: int
    halves: tuple[str, ...]
    notes: tuple[str, ...]


def load_maps(
    raw: RawSource,
    index: NDArray[np.intp],
    window: FrameWindow,
    bad: NDArray[np.intp],
    sink: MapSink,
    progress: OnCount = unfollowed,
) -> Loaded:
    """Load the window of the maps `index` into a sink, with the frames at `bad` masked.

    Every map is read once, one at a time; of an HDF5 file only the window is read. Where the
    source has noise per pair, pairs whose noise is zero, negative or not finite are masked, and
    all masked pairs have NaN for noise.

    Raises
    ------
    DataError
        A map has no pair to fit, or the file is damaged.
    """
    size = window.size
    upper = upper_pairs(size)
    read_noise = raw.sigma.read if raw.sigma is not None else None
    sigma = None if read_noise is None else np.empty((len(index), size, size))
    halves: dict[str, None] = {}
    unsymmetric: list[str] = []
    masked: list[Masked] = []
    n_noiseless = 0
    for place, k in enumerate(index.tolist()):
        block = raw.read(k, window.low, window.high)
        half = stored_half(block, upper)
        halves[half] = None
        if half == "full" and asymmetry(block) > _NOT_SYMMETRIC:
            unsymmetric.append(raw.maps[k])
        one = _writeable(block.T if half == "lower" else block)
        masked.append(mask_map(one, bad, upper))
        noiseless = 0
        if read_noise is not None and sigma is not None:
            sigma[place] = _noise(read_noise, k, window, upper)
            noiseless = _mask_noiseless(one, sigma[place], upper)
        n_noiseless += noiseless
        if masked[-1].pairs + noiseless == size * (size - 1) // 2:
            raise _nothing_left(raw, k, window, noiseless)
        if raw.shift != 0.0:
            one += raw.shift
        sink.put(one)
        progress(sink.n_put, sink.n_maps)
    return Loaded(
        sigma=sigma,
        n_masked=sum(one.pairs for one in masked) + n_noiseless,
        halves=tuple(halves),
        notes=_notes(masked, unsymmetric, window, n_noiseless),
    )


def _writeable(block: MapArray) -> MapArray:
    return block if block.flags.writeable else block.copy()


def _noise(
    read: BlockReader, index: int, window: FrameWindow, upper: NDArray[np.bool_]
) -> MapArray:
    block = read(index, window.low, window.high)
    return block.T if stored_half(block, upper) == "lower" else block


def _mask_noiseless(one: MapArray, sigma: FloatArray, upper: NDArray[np.bool_]) -> int:
    """Mask data without noise and noise without data; return how many pairs had data alone."""
    noiseless = upper & np.isfinite(one) & ~(np.isfinite(sigma) & (sigma > 0.0))
    one[noiseless] = np.nan
    sigma[~np.isfinite(one)] = np.nan
    return int(np.count_nonzero(noiseless))


def _nothing_left(raw: RawSource, index: int, window: FrameWindow, noiseless: int) -> DataError:
    what = "no finite value, or nothing but zeros"
    if noiseless and raw.sigma is not None:
        what = f"no pair with both a finite value and a positive noise in {raw.sigma.name}"
    return DataError(
        f"{what}, in frames {window.first + 1} to {window.last}",
        path=raw.path,
        dataset=raw.maps[index],
        hint="leave this angle out with phi_filtering, or correlate again",
    )


def _notes(
    masked: list[Masked], unsymmetric: list[str], window: FrameWindow, n_noiseless: int
) -> tuple[str, ...]:
    notes = []
    n_without_value = sum(one.without_value for one in masked)
    if n_without_value:
        notes.append(f"pairs without a finite value were masked: {n_without_value:,}")
    if n_noiseless:
        notes.append(
            "pairs whose noise in the file is zero, negative or not a number were masked: "
            f"{n_noiseless:,}"
        )
    empty = sorted({frame for one in masked for frame in one.empty_frames})
    if empty:
        shown = ", ".join(str(window.first + 1 + frame) for frame in empty[:20])
        more = ", ..." if len(empty) > 20 else ""
        notes.append(f"frames without counts (all zero in a map) were masked: {shown}{more}")
    if unsymmetric:
        notes.append(
            f"{len(unsymmetric)} maps are not symmetric ({unsymmetric[0]} the first): "
            "the half above the diagonal was used"
        )
    return tuple(notes)
