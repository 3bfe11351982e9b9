r"""Gram matrices in the shape of an arrow: a few parameters, and two coefficients for each angle.

With p parameters that act on all angles and contrast and offset of each angle its own, J^T J is

    [ H    C_1  C_2  ... ]      head      H    (h, h)
    [ C_1' B_1           ]      coupling  C_a  (h, 2)
    [ C_2'      B_2      ]      blocks    B_a  (2, 2)
    [ ...           ...  ]

Nothing here is larger than its number of angles. With E_a = B_a^-1 C_a' the inverse is

    T S^-1 T' + diag(0, B_1^-1, B_2^-1, ...),    S = H - sum_a C_a E_a,    T' = (1, -E_1', ...)

with the Schur complement S of the head. Inverses are those of `gram`: at unit diagonal, without
what is singular or undetermined. A block at unit diagonal is (1, r; r, 1), whose eigenvectors are
(1, 1) and (1, -1) whatever r is. A direction that is null in S, in units of the columns' lengths,
is the head's part of one that is null in the whole; the share of the blocks in its length follows
from E.

Where contrast and offset are common to all angles there are no blocks, and the head has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.numerics.gram import (
    SINGULAR,
    UNDETERMINED,
    column_norms,
    pseudo_inverse,
)
from homodyne_cli.dataset import FloatArray, IndexArray


@dataclass(frozen=True)
class Arrow:
    """A symmetric matrix: `head` (h, h), `coupling` (n, h, 2) and `blocks` (n, 2, 2)."""

    head: FloatArray
    coupling: FloatArray
    blocks: FloatArray

    def restricted(self, keep: Sequence[int] | IndexArray) -> Arrow:
        """Return the matrix without the other rows and columns of the head."""
        kept = np.asarray(keep, dtype=np.intp)
        return Arrow(self.head[np.ix_(kept, kept)], self.coupling[:, kept], self.blocks)

    def plus(self, other: Arrow, factor: float) -> Arrow:
        """Return factor * self + other."""
        return Arrow(
            factor * self.head + other.head,
            factor * self.coupling + other.coupling,
            factor * self.blocks + other.blocks,
        )

    def scaled(self, factor: FloatArray) -> Arrow:
        """Return the matrix with rows and columns of the head multiplied by `factor` (h,)."""
        return Arrow(
            self.head * np.outer(factor, factor), self.coupling * factor[:, None], self.blocks
        )


@dataclass(frozen=True)
class Spread:
    """The diagonal of an inverse: `head` (h, h) and `blocks` (n, 2, 2), not what couples them."""

    head: FloatArray
    blocks: FloatArray


@dataclass(frozen=True)
class ArrowInverse:
    """The inverse of an arrow where it has one.

    Attributes
    ----------
    spread
        S^-1 in the head, and the blocks of the whole.
    leads, inverses
        (n, 2, h) E and (n, 2, 2) B^-1.
    null, scale
        (h, m) the head's part of null directions of length one, in units `scale` (h,) in which the
        columns have length one.
    """

    spread: Spread
    leads: FloatArray
    inverses: FloatArray
    null: FloatArray
    scale: FloatArray

    def sandwich(self, middle: Arrow) -> Spread:
        """Return the diagonal of A^-1 V A^-1."""
        inner, crossed = self._pulled(middle)
        head = self.spread.head @ inner @ self.spread.head
        led = self.leads @ (self.spread.head @ crossed) @ self.inverses
        blocks = self.leads @ head @ self.leads.swapaxes(1, 2) - led - led.swapaxes(1, 2)
        return Spread(head, blocks + self.inverses @ middle.blocks @ self.inverses)

    def trace(self, middle: Arrow) -> float:
        """Return the trace of A^-1 V."""
        inner, _ = self._pulled(middle)
        own = np.einsum("aij,aji->", self.inverses, middle.blocks)
        return float(np.einsum("ij,ji->", self.spread.head, inner) + own)

    def _pulled(self, middle: Arrow) -> tuple[FloatArray, FloatArray]:
        """Return T' V T (h, h) and T' V of each block's columns (n, h, 2)."""
        crossed = middle.coupling - self.leads.swapaxes(1, 2) @ middle.blocks
        inner = middle.head - _summed(middle.coupling, self.leads) - _summed(crossed, self.leads).T
        return 0.5 * (inner + inner.T), crossed


def invert(arrow: Arrow, least: float = UNDETERMINED) -> ArrowInverse:
    """Invert outside directions whose eigenvalue, at unit diagonal, is below `least`."""
    inverses, leads = eliminated(arrow, least)
    schur = _schur(arrow, leads)
    inverse = pseudo_inverse(schur, column_norms(arrow.head), least)
    norms = np.sqrt(np.maximum(np.einsum("aii->ai", arrow.blocks), 0.0))
    moved = (norms[:, :, None] * (leads * inverse.scale)) @ inverse.null
    null = inverse.null / np.sqrt(1.0 + np.einsum("aik,aik->k", moved, moved))
    blocks = inverses + leads @ inverse.matrix @ leads.swapaxes(1, 2)
    return ArrowInverse(Spread(inverse.matrix, blocks), leads, inverses, null, inverse.scale)


def eliminated(arrow: Arrow, least: float = SINGULAR) -> tuple[FloatArray, FloatArray]:
    """Return the inverses of the blocks, (n, 2, 2), and E (n, 2, h)."""
    inverses = invert_blocks(arrow.blocks, least)
    return inverses, inverses @ arrow.coupling.swapaxes(1, 2)


def schur_complement(arrow: Arrow) -> FloatArray:
    """Return S (h, h): the blocks projected out of the head, not held."""
    return _schur(arrow, eliminated(arrow)[1])


def invert_blocks(blocks: FloatArray, least: float = SINGULAR) -> FloatArray:
    """Invert Gram matrices (..., 2, 2), each outside its eigenvalues below `least`."""
    norm = np.sqrt(np.maximum(np.einsum("...ii->...i", blocks), 0.0))
    safe = np.where(norm > 0.0, norm, 1.0)
    r = blocks[..., 0, 1] / (safe[..., 0] * safe[..., 1])
    along, across = (np.where(v > least, 0.5 / np.where(v > least, v, 1.0), 0.0)
                     for v in (1.0 + r, 1.0 - r))  # fmt: skip
    unit = np.empty(blocks.shape)
    unit[..., 0, 0] = unit[..., 1, 1] = along + across
    unit[..., 0, 1] = unit[..., 1, 0] = along - across
    scale = np.where(norm > 0.0, 1.0 / safe, 0.0)
    return np.asarray(unit * scale[..., :, None] * scale[..., None, :])


def _schur(arrow: Arrow, leads: FloatArray) -> FloatArray:
    schur = arrow.head - _summed(arrow.coupling, leads)
    return 0.5 * (schur + schur.T)


def _summed(coupling: FloatArray, leads: FloatArray) -> FloatArray:
    """Return the sum over angles of C_a E_a, (h, h)."""
    n, h, _ = coupling.shape
    return np.asarray(coupling.swapaxes(0, 1).reshape(h, 2 * n) @ leads.reshape(2 * n, h))
