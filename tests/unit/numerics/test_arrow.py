"""Arrows against the dense matrices that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homodyne_cli.core.numerics.arrow import Arrow, invert, invert_blocks, schur_complement
from homodyne_cli.core.numerics.gram import SINGULAR, UNDETERMINED, pseudo_inverse
from homodyne_cli.dataset import FloatArray
from tests.support.arrows import dense


def arrow_of(columns: FloatArray, h: int) -> Arrow:
    """Return J^T J of columns (n, rows, h + 2): h of all blocks, two of each block."""
    parts = columns.swapaxes(1, 2) @ columns
    return Arrow(parts[:, :h, :h].sum(axis=0), parts[:, :h, h:], parts[:, h:, h:])


def columns_of(seed: int, h: int = 3, n: int = 4, rows: int = 9) -> FloatArray:
    """Random columns whose lengths differ by ten decades."""
    rng = np.random.default_rng(seed)
    lengths = 10.0 ** rng.uniform(-5.0, 5.0, h + 2)
    return np.asarray(rng.normal(size=(n, rows, h + 2)) * lengths)


def diagonal_blocks(matrix: FloatArray, h: int) -> FloatArray:
    n = (len(matrix) - h) // 2
    places = [slice(h + 2 * a, h + 2 * a + 2) for a in range(n)]
    return np.array([matrix[at, at] for at in places]).reshape(n, 2, 2)


def assert_same(found: FloatArray, slow: FloatArray, tolerance: float = 1e-9) -> None:
    """Compare symmetric matrices (..., m, m) in units of the diagonal of the slow one."""
    scale = np.sqrt(np.einsum("...ii->...i", slow))
    unit = scale[..., :, None] * scale[..., None, :]
    assert np.max(np.abs(found - slow) / unit, initial=0.0) < tolerance


@given(seed=st.integers(0, 10_000), h=st.integers(1, 7), n=st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_the_inverse_is_that_of_the_dense_matrix(seed: int, h: int, n: int) -> None:
    """Rounding times the condition number at unit diagonal, which 9 rows keep below 1e5."""
    columns = columns_of(seed, h, max(n, 1), rows=4 * h + 9)
    arrow = arrow_of(columns, h)
    if n == 0:
        arrow = Arrow(arrow.head, np.zeros((0, h, 2)), np.zeros((0, 2, 2)))
    matrix, middle = dense(arrow), arrow_of(columns_of(seed + 1, h, max(n, 1), 30), h)
    middle = Arrow(middle.head, middle.coupling[:n], middle.blocks[:n])
    inverse, slow = invert(arrow), pseudo_inverse(matrix)
    assert_same(inverse.spread.head, slow.matrix[:h, :h])
    assert_same(inverse.spread.blocks, diagonal_blocks(slow.matrix, h))
    assert inverse.null.shape == (h, 0)
    wide = slow.matrix @ dense(middle) @ slow.matrix
    spread = inverse.sandwich(middle)
    assert_same(spread.head, wide[:h, :h])
    assert_same(spread.blocks, diagonal_blocks(wide, h))
    trace = float(np.trace(slow.matrix @ dense(middle)))
    assert inverse.trace(middle) == pytest.approx(trace, rel=1e-9)
    schur = np.asarray(np.linalg.inv(slow.matrix[:h, :h]), dtype=float)
    assert_same(schur_complement(arrow), schur, 1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_a_null_direction_is_the_heads_part_of_the_dense_one(seed: int) -> None:
    """A parameter that acts as another one and the contrast of one angle together."""
    columns = columns_of(seed)
    columns[:, :, 2] = 3.0 * columns[:, :, 0]
    columns[1, :, 2] += columns[1, :, 3]
    arrow = arrow_of(columns, 3)
    found, slow = invert(arrow), pseudo_inverse(dense(arrow))
    assert slow.null.shape[1] == found.null.shape[1] == 1
    np.testing.assert_allclose(np.abs(found.null), np.abs(slow.null[:3]), atol=1e-6)
    np.testing.assert_allclose(found.scale, slow.scale[:3], rtol=1e-12)
    # What does not depend on the direction is known as well by both.
    along = found.scale * found.null[:, 0]
    estimable = np.cross(along, [1.0, 2.0, 3.0] / found.scale)
    variance = [float(estimable @ m @ estimable) for m in (found.spread.head, slow.matrix[:3, :3])]
    assert variance[0] == pytest.approx(variance[1], rel=1e-5)


def test_a_block_that_says_nothing_is_left_out() -> None:
    """A contrast without effect, one that acts as its offset, and a coefficient at a bound."""
    columns = columns_of(1)
    whole = arrow_of(columns[:1], 3)
    columns[1, :, 3] = 0.0
    columns[2, :, 3] = 2.0 * columns[2, :, 4]
    columns[3, :, 3:] = 0.0
    arrow = arrow_of(columns, 3)
    inverse, slow = invert(arrow), pseudo_inverse(dense(arrow))
    assert inverse.null.shape[1] == 0
    assert slow.null.shape[1] == 4, "null in the blocks alone"
    assert_same(inverse.spread.head, slow.matrix[:3, :3])
    assert np.all(inverse.spread.blocks[3] == 0.0)
    assert np.all(np.isfinite(inverse.spread.blocks))
    assert np.all(np.diag(inverse.spread.head) < np.diag(invert(whole).spread.head))


@pytest.mark.parametrize("r", [0.0, 0.5, -0.999999, 1.0 - 1e-12, 1.0, -1.0])
@pytest.mark.parametrize("least", [SINGULAR, UNDETERMINED])
def test_blocks_have_the_inverse_of_their_eigenvectors(r: float, least: float) -> None:
    scale = np.array([1e-4, 3e5])
    block = np.array([[1.0, r], [r, 1.0]]) * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(np.array([[1.0, r], [r, 1.0]]))
    good = values > least
    slow = (vectors[:, good] / values[good]) @ vectors[:, good].T / np.outer(scale, scale)
    np.testing.assert_allclose(invert_blocks(block, least), slow, rtol=1e-3)


def test_parts_scaled_and_sums_are_those_of_the_dense_matrix() -> None:
    arrow, other = (arrow_of(columns_of(seed), 3) for seed in (1, 2))
    factor = np.array([2.0, -0.5, 1e3])
    whole = np.append(factor, np.ones(8))
    np.testing.assert_allclose(dense(arrow.scaled(factor)), dense(arrow) * np.outer(whole, whole))
    np.testing.assert_allclose(dense(arrow.plus(other, 0.25)), 0.25 * dense(arrow) + dense(other))
    kept = [2, 0, *range(3, 11)]
    np.testing.assert_array_equal(dense(arrow.restricted([2, 0])), dense(arrow)[np.ix_(kept, kept)])
