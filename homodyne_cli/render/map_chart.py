"""A two-time map drawn with signs, for terminals."""

from __future__ import annotations

from typing import Final

import numpy as np

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.render.numbers import format_digits

_SHADES: Final = " ░▒▓█"
_MOST_ROWS: Final = 24
_ASCII_SHADES: Final = " .:-=+*#%@"


def map_chart(c2: MapArray, *, width: int, ascii_only: bool) -> str:
    """Draw a map, t1 downwards and t2 to the right, averaged to what fits a width.

    Parameters
    ----------
    c2
        (n, n); values above the diagonal are shown, ``?`` where none is finite.
    """
    n = len(c2)
    side = max(min(n, (width - 2) // 2, _MOST_ROWS), 1)
    edges = np.linspace(0, n, side + 1).round().astype(np.intp)
    upper = np.where(np.triu(np.ones((n, n), dtype=np.bool_), 1) & np.isfinite(c2), c2, 0.0)
    there = np.triu(np.isfinite(c2), 1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = _blocks(upper, edges) / _blocks(there, edges)
    known = means[np.isfinite(means)]
    if not len(known):
        return ""
    low, high = np.quantile(known, (0.02, 0.98))
    shades = _ASCII_SHADES if ascii_only else _SHADES
    level = np.clip((means - low) / max(high - low, 1e-300), 0.0, 1.0 - 1e-9) * len(shades)
    rows = []
    for i in range(side):
        # A block on the diagonal may hold no pair at all.
        signs = [_sign(x, shades, "?" if k else " ") for k, x in enumerate(level[i, i:])]
        rows.append("  " * i + "".join(sign * 2 for sign in signs))
    scale = f"{shades[1]} {format_digits(float(low))} to {shades[-1]} {format_digits(float(high))}"
    return "\n".join([*(row.rstrip() for row in rows), f"t1 down, t2 right; c2 from {scale}"])


def _sign(level: float, shades: str, unknown: str) -> str:
    return unknown if np.isnan(level) else shades[int(level)]


def _blocks(values: FloatArray | MapArray, edges: np.ndarray) -> FloatArray:
    rows = np.add.reduceat(np.asarray(values, dtype=float), edges[:-1], axis=0)
    return np.asarray(np.add.reduceat(rows, edges[:-1], axis=1))
