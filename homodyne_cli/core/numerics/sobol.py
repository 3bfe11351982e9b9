r"""Scrambled Sobol points, for which SciPy would import a third of the program's libraries.

(S. Joe and F. Y. Kuo, SIAM J. Sci. Comput. 30, 2635, 2008, doi:10.1137/070709359; scrambling by J.
Matoušek, J. Complexity 14, 527, 1998, doi:10.1006/jcom.1998.0489.) In each dimension the n-th point
is the exclusive or of those direction numbers whose bit is set in the Gray code of n. Direction
numbers follow from a primitive polynomial over the integers modulo 2 and a few of the first; as
columns of bits they are multiplied by a random lower triangular matrix, and a random shift is
added. Points are those of `scipy.stats.qmc.Sobol`, bit for bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from homodyne_cli.dataset import FloatArray, IndexArray

#: Binary digits of a coordinate.
_BITS: Final = 30
#: Polynomial of each dimension, its digits in one number, and the first direction numbers (Joe and
#: Kuo's new-joe-kuo-6); the first dimension has no polynomial.
_DIMENSIONS: Final = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
)
#: Dimensions that there are: as many as the model has parameters.
MOST_DIMENSIONS: Final = 1 + len(_DIMENSIONS)


def sobol_points(dimensions: int, count: int, seed: int) -> FloatArray:
    """Return the first (count, dimensions) points of a scrambled sequence, in [0, 1).

    Parameters
    ----------
    dimensions
        At most `MOST_DIMENSIONS`.
    count
        A power of two, for points that are balanced.
    seed
        Of the scrambling.
    """
    rng = np.random.default_rng(seed)
    shift = rng.integers(2, size=(dimensions, _BITS), dtype=np.uint32).astype(np.int64)
    drawn = rng.integers(2, size=(dimensions, _BITS, _BITS), dtype=np.uint32).astype(np.int64)
    lower = np.tril(drawn, -1) + np.eye(_BITS, dtype=np.int64)
    # (dimensions, digits, numbers), the leading digit first.
    digits = _direction_numbers(dimensions)[:, None, :] >> np.arange(_BITS)[::-1, None] & 1
    scrambled = lower @ digits % 2
    n = np.arange(count)
    chosen = (n ^ n >> 1) >> np.arange(_BITS)[:, None] & 1
    points = (scrambled @ chosen + shift[:, ::-1, None]) % 2
    return np.asarray((0.5 ** np.arange(1, _BITS + 1) @ points).T)


def _direction_numbers(dimensions: int) -> IndexArray:
    """Return (dimensions, digits): each number's leading digit where its bit of n has its place."""
    numbers = np.ones((dimensions, _BITS), dtype=np.int64)
    for row, (polynomial, first) in zip(numbers[1:], _DIMENSIONS, strict=False):
        degree = len(first)
        row[:degree] = first
        for j in range(degree, _BITS):
            row[j] = row[j - degree]
            for k in range(1, degree + 1):
                if polynomial >> degree - k & 1:
                    row[j] ^= row[j - k] << k
    return numbers << np.arange(_BITS)[::-1]
