"""PNG heatmaps per angle: data, fit and normalised residual on one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from homodyne_cli.models import FloatArray, MapArray

_DPI = 100
_PAGE = (13.0, 4.4)
#: Noise hardly shrinks further, and the default level takes three times as long.
_COMPRESSION = 2


def displayed(maps: np.ndarray, max_pixels: int) -> np.ndarray:
    """Mirror the upper half of one (n, n) map and average it in blocks to at most `max_pixels`.

    Only i < j is read; the diagonal and pairs that are not fitted stay blank (NaN).
    """
    n = len(maps)
    upper = np.triu(np.ones((n, n), dtype=bool), 1)
    values = np.where(upper, maps, np.nan)
    block = _block_size(n, max_pixels)
    size = -(-n // block)
    padded = np.full((size * block, size * block), np.nan, dtype=values.dtype)
    padded[:n, :n] = values
    blocks = padded.reshape(size, block, size, block)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.where(np.isfinite(mean), mean, mean.T)


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
    paths = []
    for a, name in enumerate(file_names(phi)):
        data, fit = displayed(c2[a], max_pixels), displayed(fitted[a], max_pixels)
        residual = displayed((c2[a] - fitted[a]) / sigma[a], max_pixels)
        path = directory / name
        page.draw(path, f"phi = {phi[a]:.2f}°", data, fit, residual)
        paths.append(path)
    return paths


class _Page:
    """Three panels that are made once and drawn again for every angle."""

    def __init__(self, t: FloatArray, block: int) -> None:
        self._figure = Figure(figsize=_PAGE, dpi=_DPI)
        FigureCanvasAgg(self._figure)
        self._images = []
        axes = self._figure.subplots(1, 3)
        # The last block may reach past the last frame.
        step = float(t[1] - t[0]) if len(t) > 1 else 1.0
        low = float(t[0]) - step / 2
        high = low + step * block * -(-len(t) // block)
        extent = (low, high, low, high)
        averaged = f", mean of {block} × {block}" if block > 1 else ""
        for axis, title, colours in zip(
            axes,
            ("data c2", "fit c2", f"residual / noise{averaged}"),
            ("viridis", "viridis", "RdBu_r"),
            strict=True,
        ):
            image = axis.imshow(
                np.zeros((2, 2)), origin="lower", extent=extent, cmap=colours, aspect="equal"
            )
            axis.set_title(title)
            axis.set_xlabel("t2 (s)")
            axis.set_ylabel("t1 (s)")
            self._figure.colorbar(image, ax=axis, fraction=0.046, pad=0.03)
            self._images.append(image)
        self._figure.subplots_adjust(left=0.05, right=0.95, top=0.85, bottom=0.12, wspace=0.35)

    def draw(
        self, path: Path, title: str, data: np.ndarray, fit: np.ndarray, residual: np.ndarray
    ) -> None:
        low, high = _robust_range(np.concatenate([data.ravel(), fit.ravel()]))
        reach = max(abs(v) for v in _robust_range(residual.ravel()))
        limits = ((low, high), (low, high), (-reach, reach))
        for image, values, (bottom, top) in zip(
            self._images, (data, fit, residual), limits, strict=True
        ):
            image.set_data(values)
            image.set_clim(bottom, top)
        self._figure.suptitle(title)
        self._figure.savefig(path, format="png", pil_kwargs={"compress_level": _COMPRESSION})


def _robust_range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-9))
