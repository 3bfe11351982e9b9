"""Arrows written out as the dense matrices that the package never makes."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.dataset import FloatArray


def dense(arrow: Arrow) -> FloatArray:
    """Return the whole matrix: the head, then two rows for each block."""
    h, n = len(arrow.head), len(arrow.blocks)
    out = np.zeros((h + 2 * n, h + 2 * n))
    out[:h, :h] = arrow.head
    for a in range(n):
        at = slice(h + 2 * a, h + 2 * a + 2)
        out[:h, at], out[at, :h] = arrow.coupling[a], arrow.coupling[a].T
        out[at, at] = arrow.blocks[a]
    return out


def multiplied(arrow: Arrow, factor: float) -> Arrow:
    """Return the matrix multiplied by a number."""
    return Arrow(factor * arrow.head, factor * arrow.coupling, factor * arrow.blocks)
