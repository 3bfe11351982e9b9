"""PNG heatmaps per angle: data, fit, residual and the data near the baseline on one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

from homodyne_cli.dataset import FloatArray, IndexArray, MapArray, Rows
from homodyne_cli.results import OnCount, unfollowed

_DPI = 150
_ANGLE = "φ = {:.2f}°"
_PAGE = (17.0, 4.2)
#: The panel near the baseline shows so many percent of the contrast around the offset: the first
#: side lobe of (sin x / x)^2 is 4.7% high.
LOBES = 5.0
#: Noise there, as a share of the contrast, if the map is large enough, and limits of its blocks.
_SHOWN_NOISE = 0.005
_LEAST_BLOCKS, _MOST_BLOCKS = 20, 100
#: Frames drawn of series of more than twice as many.
_DRAWN = 1000
#: Noise hardly shrinks further, and the default level takes three times as long.
_COMPRESSION = 2


def drawn_frames(n: int) -> IndexArray:
    """Return the frames whose pairs are drawn: of long series every second, third ... one."""
    return np.arange(0, n, -(-n // _DRAWN) if n > 2 * _DRAWN else 1)


def baseline_block(n: int, sigma: FloatArray, contrast: FloatArray) -> int:
    """Return the side of blocks, in frames, whose mean shows lobes of a percent of the contrast.

    Of `n` frames there are at least `_LEAST_BLOCKS` blocks, noisy or not.
    """
    share = float(np.median(sigma / np.maximum(contrast, 1e-12)))
    wanted = int(np.ceil(share / _SHOWN_NOISE)) if np.isfinite(share) else 1
    block = max(min(wanted, n // _LEAST_BLOCKS), -(-n // _MOST_BLOCKS), 1)
    return _block_size(n, -(-n // block))


def near_baseline(c2: np.ndarray, contrast: float, offset: float, block: int) -> np.ndarray:
    """Return one (n, n) map averaged in blocks, in percent of the contrast around the offset."""
    return displayed(100.0 * (c2 - offset) / contrast, -(-len(c2) // block))


def displayed(maps: np.ndarray, max_pixels: int) -> np.ndarray:
    """Mirror the upper half of one (n, n) map and average it in blocks to at most `max_pixels`.

    Only i < j is read; the diagonal and pairs that are not fitted stay blank (NaN).
    """
    n = len(maps)
    block = _block_size(n, max_pixels)
    keep = np.triu(np.isfinite(maps), 1)
    count = _block_sums(keep.astype(np.float32), block)
    total = _block_sums(np.where(keep, maps, 0.0), block)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.where(np.isfinite(mean), mean, mean.T)


def _block_sums(values: np.ndarray, block: int) -> np.ndarray:
    """Sum an (n, n) map over squares of `block` x `block`; the last ones may be smaller."""
    if block == 1:
        return values
    n = len(values)
    size = -(-n // block)
    padded = np.zeros((size * block, size * block), dtype=values.dtype)
    padded[:n, :n] = values
    rows = padded.reshape(size, block, size * block).sum(axis=1)
    sums: np.ndarray = rows.reshape(size, size, block).sum(axis=2)
    return sums


def _block_size(n: int, max_pixels: int) -> int:
    return -(-n // max_pixels)


def file_names(rows: Rows) -> list[str]:
    """Return one name per map; those that round alike are numbered."""
    stems = [f"phi_{angle:.1f}deg" for angle in rows.phi]
    if len(rows.rings) > 1:
        stems = [f"q_{q:.5g}_{stem}" for q, stem in zip(rows.q, stems, strict=True)]
    if rows.repeat is not None:
        stems = [f"repeat_{k + 1}_{stem}" for k, stem in zip(rows.repeat, stems, strict=True)]
    stems = [f"c2_heatmaps_{stem}" for stem in stems]
    often = Counter(stems)
    numbers: Counter[str] = Counter()
    names = []
    for stem in stems:
        numbers[stem] += 1
        names.append(f"{stem}_{numbers[stem]}.png" if often[stem] > 1 else f"{stem}.png")
    return names


def save_heatmaps(
    directory: Path,
    rows: Rows,
    t: FloatArray,
    c2: MapArray,
    fitted: MapArray,
    sigma: FloatArray,
    scaling: tuple[FloatArray, FloatArray],
    *,
    title: str = "",
    max_pixels: int = 400,
    on_page: OnCount = unfollowed,
) -> list[Path]:
    """Draw one page per angle: data, fit, residual, and the data near the baseline.

    Parameters
    ----------
    c2, fitted
        (n_phi, n, n), of which i < j is read.
    sigma
        (n_phi,) noise that the residual is divided by.
    scaling
        Contrast and offset, (n_phi,) each.
    title
        What is said on every page before the angle.
    max_pixels
        Side of the drawn maps; larger ones are averaged in blocks.
    on_page
        Told after each page how many are drawn, and of how many.
    """
    coarse = baseline_block(len(t), sigma, scaling[0])
    page = _Page(t, _block_size(len(t), max_pixels), coarse)
    paths = [directory / name for name in file_names(rows)]
    residuals = [
        displayed((c2[a] - fitted[a]) / float(sigma[a]), max_pixels).astype(np.float32)
        for a in range(len(rows.phi))
    ]
    reach = max(max(map(abs, robust_range(r.ravel()))) for r in residuals)
    for a, path in enumerate(paths):
        maps = displayed(c2[a], max_pixels), displayed(fitted[a], max_pixels), residuals[a]
        contrast, offset = (float(values[a]) for values in scaling)
        baseline = near_baseline(c2[a], contrast or 1.0, offset, coarse)
        page.draw(path, f"{title}{rows.place(a, _ANGLE)}", (*maps, baseline), reach)
        on_page(a + 1, len(paths))
    return paths


class _Page:
    """Panels whose frames are drawn once; a page adds maps, colour bars and its title."""

    def __init__(self, t: FloatArray, block: int, coarse: int) -> None:
        self._figure = Figure(figsize=_PAGE, dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        kinds = (
            ("data", "c2", "viridis", block),
            ("fit", "c2", "viridis", block),
            ("data − fit", "noise", "RdBu_r", block),
            ("near the baseline", "% of contrast", "RdBu_r", coarse),
        )
        self._panels = []
        for k, (title, unit, colours, size) in enumerate(kinds):
            averaged = f", mean of {size} × {size}" if size > 1 and colours == "RdBu_r" else ""
            place = self._figure.add_subplot(1, len(kinds), k + 1)
            self._panels.append(_Panel(place, title + averaged, unit, colours, extent_of(t, size)))
        self._title = self._figure.suptitle("")
        self._figure.subplots_adjust(left=0.04, right=0.955, top=0.84, bottom=0.13, wspace=0.42)
        for artist in self._changing():
            artist.set_animated(True)
        self._canvas.draw()  # type: ignore[no-untyped-call]
        self._frames = self._canvas.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    def _changing(self) -> list[Artist]:
        return [self._title, *(artist for panel in self._panels for artist in panel.changing())]

    def draw(self, target: Path, title: str, maps: tuple[np.ndarray, ...], reach: float) -> None:
        low, high = robust_range(np.concatenate([maps[0].ravel(), maps[1].ravel()]))
        limits = ((low, high), (low, high), (-reach, reach), (-LOBES, LOBES))
        for panel, values, ends in zip(self._panels, maps, limits, strict=True):
            panel.show(values, *ends)
        self._title.set_text(title)
        self._canvas.restore_region(self._frames)  # type: ignore[no-untyped-call]
        for artist in self._changing():
            self._figure.draw_artist(artist)
        pixels = self._canvas.buffer_rgba()  # type: ignore[no-untyped-call]
        imsave(target, pixels, format="png", pil_kwargs={"compress_level": _COMPRESSION})


def extent_of(t: FloatArray, block: int) -> tuple[float, float, float, float]:
    """Return the ends of both axes; the last block may reach past the last frame."""
    step = float(t[1] - t[0]) if len(t) > 1 else 1.0
    low = float(t[0]) - step / 2
    high = low + step * block * -(-len(t) // block)
    return (low, high, low, high)


class _Panel:
    """One map with its colour bar."""

    def __init__(
        self,
        axes: Axes,
        title: str,
        unit: str,
        colours: str,
        extent: tuple[float, float, float, float],
    ) -> None:
        self._image = axes.imshow(
            np.zeros((2, 2)), origin="lower", extent=extent, cmap=colours, aspect="equal"
        )
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("t2 (s)")
        axes.set_ylabel("t1 (s)")
        axes.locator_params(nbins=5)
        bar = axes.figure.colorbar(
            self._image, ax=axes, fraction=0.046, pad=0.03, ticks=MaxNLocator(5), label=unit
        )
        self._bar_axes = bar.ax
        self._spines = tuple(axes.spines.values())

    def changing(self) -> tuple[Artist, ...]:
        """Return what differs from page to page, in drawing order: the map covers its spines."""
        return (self._image, *self._spines, self._bar_axes)

    def show(self, values: np.ndarray, low: float, high: float) -> None:
        self._image.set_data(values)
        self._image.set_clim(low, high)


def robust_range(values: np.ndarray) -> tuple[float, float]:
    """Return the range of the values but for half a percent at each end."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-9))
