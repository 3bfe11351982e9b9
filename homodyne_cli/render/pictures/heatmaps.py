"""PNG heatmaps per angle: data, fit and normalised residual on one page."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

from homodyne_cli.dataset import FloatArray, IndexArray, MapArray

_DPI = 100
_PAGE = (13.0, 4.4)
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


def file_names(phi: FloatArray) -> list[str]:
    """Return one name per angle; angles that round alike are numbered."""
    stems = [f"c2_heatmaps_phi_{angle:.1f}deg" for angle in phi]
    often = Counter(stems)
    seen: Counter[str] = Counter()
    names = []
    for stem in stems:
        seen[stem] += 1
        names.append(f"{stem}_{seen[stem]}.png" if often[stem] > 1 else f"{stem}.png")
    return names


def save_heatmaps(
    directory: Path,
    phi: FloatArray,
    t: FloatArray,
    c2: MapArray,
    fitted: MapArray,
    sigma: FloatArray,
    *,
    max_pixels: int = 400,
) -> list[Path]:
    """Draw one page per angle.

    Parameters
    ----------
    c2, fitted
        (n_phi, n, n), of which i < j is read.
    sigma
        (n_phi,) noise that the residual is divided by.
    max_pixels
        Side of the drawn maps; larger ones are averaged in blocks.
    """
    page = _Page(t, _block_size(len(t), max_pixels))
    paths = [directory / name for name in file_names(phi)]
    for a, path in enumerate(paths):
        maps = _three_maps(c2[a], fitted[a], float(sigma[a]), max_pixels)
        page.draw(path, f"phi = {phi[a]:.2f}°", *maps)
    return paths


def heatmap_pages(
    phi: FloatArray,
    t: FloatArray,
    c2: MapArray,
    fitted: MapArray,
    sigma: FloatArray,
    *,
    max_pixels: int = 400,
) -> list[bytes]:
    """Return what `save_heatmaps` would write, one PNG image per angle."""
    page = _Page(t, _block_size(len(t), max_pixels))
    images = []
    for a, angle in enumerate(phi):
        image = BytesIO()
        maps = _three_maps(c2[a], fitted[a], float(sigma[a]), max_pixels)
        page.draw(image, f"phi = {angle:.2f}°", *maps)
        images.append(image.getvalue())
    return images


def _three_maps(
    c2: np.ndarray, fitted: np.ndarray, sigma: float, max_pixels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return data, fit and normalised residual of one angle as they are drawn."""
    residual = displayed((c2 - fitted) / sigma, max_pixels)
    return displayed(c2, max_pixels), displayed(fitted, max_pixels), residual


class _Page:
    """Three panels whose frames are drawn once; a page adds maps, colour bars and its title."""

    def __init__(self, t: FloatArray, block: int) -> None:
        self._figure = Figure(figsize=_PAGE, dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        # The last block may reach past the last frame.
        step = float(t[1] - t[0]) if len(t) > 1 else 1.0
        low = float(t[0]) - step / 2
        high = low + step * block * -(-len(t) // block)
        averaged = f", mean of {block} × {block}" if block > 1 else ""
        self._panels = [
            _Panel(self._figure, k, title, colours, (low, high, low, high))
            for k, (title, colours) in enumerate(
                (
                    ("data c2", "viridis"),
                    ("fit c2", "viridis"),
                    (f"residual / noise{averaged}", "RdBu_r"),
                )
            )
        ]
        self._title = self._figure.suptitle("")
        self._figure.subplots_adjust(left=0.05, right=0.95, top=0.85, bottom=0.12, wspace=0.35)
        for artist in self._changing():
            artist.set_animated(True)
        self._canvas.draw()  # type: ignore[no-untyped-call]
        self._frames = self._canvas.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    def _changing(self) -> list[Artist]:
        return [self._title, *(artist for panel in self._panels for artist in panel.changing())]

    def draw(
        self,
        target: Path | BytesIO,
        title: str,
        data: np.ndarray,
        fit: np.ndarray,
        residual: np.ndarray,
    ) -> None:
        low, high = _robust_range(np.concatenate([data.ravel(), fit.ravel()]))
        reach = max(abs(v) for v in _robust_range(residual.ravel()))
        limits = ((low, high), (low, high), (-reach, reach))
        for panel, values, ends in zip(self._panels, (data, fit, residual), limits, strict=True):
            panel.show(values, *ends)
        self._title.set_text(title)
        self._canvas.restore_region(self._frames)  # type: ignore[no-untyped-call]
        for artist in self._changing():
            self._figure.draw_artist(artist)
        pixels = self._canvas.buffer_rgba()  # type: ignore[no-untyped-call]
        imsave(target, pixels, format="png", pil_kwargs={"compress_level": _COMPRESSION})


class _Panel:
    """One map with its colour bar."""

    def __init__(
        self,
        figure: Figure,
        place: int,
        title: str,
        colours: str,
        extent: tuple[float, float, float, float],
    ) -> None:
        axes = figure.add_subplot(1, 3, place + 1)
        self._image = axes.imshow(
            np.zeros((2, 2)), origin="lower", extent=extent, cmap=colours, aspect="equal"
        )
        axes.set_title(title)
        axes.set_xlabel("t2 (s)")
        axes.set_ylabel("t1 (s)")
        axes.locator_params(nbins=5)
        bar = figure.colorbar(self._image, ax=axes, fraction=0.046, pad=0.03, ticks=MaxNLocator(5))
        self._bar_axes = bar.ax
        self._spines = tuple(axes.spines.values())

    def changing(self) -> tuple[Artist, ...]:
        """Return what differs from page to page, in drawing order: the map covers its spines."""
        return (self._image, *self._spines, self._bar_axes)

    def show(self, values: np.ndarray, low: float, high: float) -> None:
        self._image.set_data(values)
        self._image.set_clim(low, high)


def _robust_range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-9))
