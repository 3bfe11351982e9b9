"""Blocks of frames, sums over them, and columns that are never formed, against whole maps."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.noise import angle_data as blocks_module
from homodyne_cli.core.noise import curve_products as slabs_module
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.angle_data import FrameBlocks, angle_data, sparse_data
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance, block_sums
from homodyne_cli.core.noise.curve_products import curve_maps, f_products, mask, slabs
from homodyne_cli.core.noise.weighed_angle import AngleNoise, weigh_angle
from homodyne_cli.dataset import FloatArray, IndexArray
from tests.unit.noise.test_covariance_operator import units
from tests.unit.noise.test_windows import dataset

#: The transport coefficient changes its sign on the way, so that decay rises and falls.
TURNING = np.array([4.0e4, -0.4, -3.2e4, 7.0e-4, -0.25, 1e-5, 2.0])
FACTORS_PHI = np.array([20.0])


def few_at_once(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(slabs_module, "SLAB_PAIRS", pairs)
    monkeypatch.setattr(blocks_module, "SLAB_PAIRS", pairs)


def block_matrix(blocks: FrameBlocks, n: int) -> FloatArray:
    """(m, n) weights of the frames in every block."""
    out = np.zeros((len(blocks), n))
    for b, frames in enumerate(blocks.frames):
        out[b, frames] = blocks.weights
    return out


@pytest.mark.parametrize(
    ("n", "most", "size", "count"),
    [(10, 10, 1, 10), (11, 10, 2, 5), (20, 10, 2, 10), (21, 10, 3, 7), (30, 10, 3, 10),
     (31, 10, 5, 6), (50, 10, 5, 10), (51, 10, 7, 7), (80, 10, 9, 8)],
)  # fmt: skip
def test_as_few_frames_to_a_block_as_can_be_afforded(
    n: int, most: int, size: int, count: int
) -> None:
    """One, two or an odd number; the last frames that fill no block are left out."""
    blocks = FrameBlocks.of(n, most)
    assert (blocks.size, len(blocks)) == (size, count)
    assert blocks.weights.sum() == pytest.approx(1.0)
    own = blocks.frames // size
    np.testing.assert_array_equal(own, np.broadcast_to(np.arange(count)[:, None], own.shape))


@pytest.mark.parametrize("pairs", [1, 25, 60_000])
def test_slabs_hold_every_pair_above_the_diagonal_once(
    monkeypatch: pytest.MonkeyPatch, pairs: int
) -> None:
    few_at_once(monkeypatch, pairs)
    times = np.zeros((11, 11))
    for rows, right in slabs(11):
        assert rows.start == right.start
        times[rows, right] += mask(None, rows, right)
        assert (rows.stop - rows.start) * 11 <= max(pairs, 11)
    np.testing.assert_array_equal(times, np.triu(np.ones((11, 11)), 1))
    assert len(slabs(11)) == {1: 11, 25: 6, 60_000: 1}[pairs]


def pattern(i: IndexArray, j: IndexArray) -> FloatArray:
    return np.asarray(np.cos(0.3 * (i + j)) + 0.1 * i * j)


@pytest.mark.parametrize("pairs", [30, 60_000])
@pytest.mark.parametrize(("n", "most"), [(7, 7), (14, 7), (23, 7), (35, 7)])
def test_means_and_sums_over_blocks(
    monkeypatch: pytest.MonkeyPatch, n: int, most: int, pairs: int
) -> None:
    few_at_once(monkeypatch, pairs)
    blocks = FrameBlocks.of(n, most)
    m, size, frames = len(blocks), blocks.size, np.arange(n)
    matrix = block_matrix(blocks, n)
    every = matrix @ pattern(frames[:, None], frames) @ matrix.T
    np.testing.assert_allclose(blocks.mirrored_means(pattern), every, rtol=1e-12)
    upper = np.triu(pattern(frames[:, None], frames), 1)

    def maps(rows: slice, right: slice) -> FloatArray:
        return np.stack([upper[rows, right], 2.0 * upper[rows, right]])

    whole = (upper + upper.T)[: m * size, : m * size]
    sums = whole.reshape(m, size, m, size).sum(axis=(1, 3))
    found = blocks.mirrored_sums(2, maps)
    np.testing.assert_allclose(found, [sums, 2.0 * sums], rtol=1e-12)


def test_sums_of_a_last_block_that_is_smaller() -> None:
    values = np.arange(35.0).reshape(5, 7)
    sums = [
        [values[:3, a : a + 3].sum() for a in (0, 3, 6)],
        [values[3:, a : a + 3].sum() for a in (0, 3, 6)],
    ]
    np.testing.assert_allclose(block_sums(values, 3), sums)
    assert block_sums(values, 1) is values


@pytest.mark.parametrize("most", [9, 5])
def test_covariance_over_blocks_has_pairs_within_them(most: int) -> None:
    model = PairModel(0.1 * np.arange(9.0), 0.4 * np.arange(9.0), None)
    blocks = FrameBlocks.of(9, most)
    operator = blocks.covariance(model, 0.3, 0.7, 2.0)
    matrix, frames = block_matrix(blocks, 9), np.arange(9)
    expected = matrix @ model.g1(frames[:, None], frames) @ matrix.T
    np.testing.assert_allclose(operator.g1, expected, rtol=1e-12)
    assert (operator.contrast, operator.photon_noise, operator.modes) == (0.3, 0.7, 2.0)
    alone = np.ones_like(expected) - (np.eye(9) if most == 9 else 0.0)
    np.testing.assert_array_equal(operator.present, alone)


def test_data_of_an_angle_are_counted_from_their_mean() -> None:
    rng = np.random.default_rng(1)
    c2 = rng.normal(1.2, 0.1, (2, 8, 8))
    whole = angle_data(dataset(c2), 1, 8)
    assert whole is not None
    assert whole.present is None
    assert whole.mirrored is None
    i, j = np.triu_indices(8, 1)
    assert whole.shift == pytest.approx(c2[1, i, j].mean())
    np.testing.assert_allclose(whole.values[i, j] + whole.shift, c2[1, i, j])
    assert np.all(whole.values[np.tri(8, dtype=bool)] == 0.0)
    c2[1, 2, 5] = np.nan
    part = angle_data(dataset(c2), 1, 8)
    assert part is not None
    assert part.present is not None
    assert part.mirrored is not None
    assert part.present.sum() == 27
    assert not part.present[2, 5]
    assert part.values[2, 5] == 0.0
    np.testing.assert_array_equal(part.mirrored, part.present | part.present.T)
    assert part.mirrored.sum() == 54
    values = part.values[part.present]
    np.testing.assert_allclose(
        part.plain, [[27.0, values.sum()], [values.sum(), values @ values]], atol=1e-13
    )
    assert part.plain[0, 1] == pytest.approx(0.0, abs=1e-12)
    c2[1] = np.nan
    assert angle_data(dataset(c2), 1, 8) is None


@pytest.mark.parametrize(("most", "frames"), [(10, 10), (5, 5), (4, 4), (3, 3), (9, 5)])
def test_few_frames_are_evenly_spread(most: int, frames: int) -> None:
    c2 = np.random.default_rng(2).normal(1.2, 0.1, (1, 10, 10))
    (one,) = sparse_data(dataset(c2), most)
    assert one is not None
    step = -(-10 // most)
    np.testing.assert_array_equal(one.blocks.frames[:, 0], np.arange(0, 10, step))
    assert len(one.blocks) == frames
    assert one.blocks.size == 1
    assert one.values[1, 2] + one.shift == pytest.approx(c2[0, step, 2 * step])


def turning(n: int) -> tuple[ModelCurves, PairModel]:
    t = 0.4 * np.arange(1.0, n + 1.0)
    curves = model_curves(t, FACTORS_PHI, np.array([0.0054]), 2.0e6, TURNING, "he2024")
    model = pair_model(curves, 0, "he2024")
    assert np.ptp(np.sign(np.diff(model.decay))) > 0.0
    return curves, model


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("lost", [False, True])
def test_columns_taken_apart_are_the_columns(
    monkeypatch: pytest.MonkeyPatch, size: int, lost: bool
) -> None:
    """A few rows at a time, decay in either direction: sums over pairs and over blocks."""
    n = 17
    few_at_once(monkeypatch, 60)
    curves, model = turning(n)
    rng = np.random.default_rng(3)
    known = np.triu(rng.random((n, n)) < 0.8, 1) if lost else np.triu(np.ones((n, n), bool), 1)
    values = np.where(known, rng.standard_normal((n, n)), 0.0)
    factors = float(curves.q[0]), float(curves.kappa[0]), float(curves.kappa_slope[0])
    apart = curve_maps(model, curves, factors, values, known if lost else None)
    columns = angle_columns(model, curves, 0, 1.0)[:-1] * known
    every = np.concatenate([columns, known[None].astype(float), values[None]])
    sums = np.einsum("kij,lij->kl", columns, every)
    unit = np.sqrt(np.outer(np.diag(sums), np.einsum("kij,kij->k", every, every)))
    np.testing.assert_allclose(apart.plain / unit, sums / unit, atol=1e-12)
    np.testing.assert_allclose(apart.even, columns[-1] + columns[-1].T, atol=1e-15)
    vectors = rng.standard_normal((n, 4))
    alone = f_products(model, vectors, values, known if lost else None)
    np.testing.assert_allclose(alone.plain[0], sums[-1, -3:], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(alone.thin[0], apart.even @ vectors, atol=1e-13)
    thin = (columns + columns.swapaxes(1, 2)) @ vectors
    size_of = np.abs(thin).max(axis=(1, 2))[:, None, None]
    found = apart.products(vectors)
    np.testing.assert_allclose(found.thin / size_of, thin / size_of, atol=1e-11)
    np.testing.assert_array_equal(found.plain, apart.plain)
    m = n // size
    whole = (columns + columns.swapaxes(1, 2))[:, : m * size, : m * size]
    blocks = whole.reshape(-1, m, size, m, size).sum(axis=(2, 4))
    scale = np.abs(blocks).max(axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(apart.block_sums(size) / scale, blocks / scale, atol=1e-11)


@pytest.mark.parametrize("most", [12, 6, 4])
def test_scores_with_equal_weights_are_those_of_dense_matrices(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """<X, X> and <X, C0 X> / scale over frames, pairs and threes; all eigenvectors are kept."""
    n = 12
    few_at_once(monkeypatch, 20)
    curves, model = turning(n)
    c2 = np.random.default_rng(5).normal(1.2, 0.1, (1, n, n))
    data = angle_data(dataset(c2), 0, most)
    assert data is not None
    size, noise = data.blocks.size, AngleNoise(0.3, 0.006, 2.0, 800.0, 700.0)
    assert size == n // most
    sums = weigh_angle(data, curves, "he2024", noise).scores(curves)
    matrix = block_matrix(data.blocks, n)
    columns = matrix @ angle_columns(model, curves, 0, 1.0) @ matrix.T
    columns = np.triu(columns, 1)
    columns = columns + columns.swapaxes(1, 2)
    m = len(data.blocks)
    frames = np.arange(n)
    g1 = np.sqrt(matrix @ model.f(frames[:, None], frames) @ matrix.T)
    present = 1.0 - np.eye(m)
    main = SpeckleCovariance(g1, 0.3, 0.006 / size, 1.0, present).apply_main(columns)
    i, j = np.triu_indices(m, 1)
    inner = columns[:, i, j] @ columns[:, i, j].T
    unit = np.sqrt(np.outer(np.diag(inner), np.diag(inner)))
    np.testing.assert_allclose(sums.equal_hessian / unit, inner / unit, atol=1e-10)
    spread = columns[:, i, j] @ main[:, i, j].T / 700.0
    unit = np.sqrt(np.outer(np.diag(spread), np.diag(spread)))
    np.testing.assert_allclose(sums.equal / unit, spread / unit, atol=1e-6)
    shown = np.concatenate([columns[:, i, j], data.values[i, j][None]])
    covariance = SpeckleCovariance(g1, 0.3, 0.006 / size, 1.0, present)
    maps = units(present)[0]
    dense = covariance.apply_main(maps)[:, i, j]
    gram = 700.0 * shown @ np.linalg.solve(dense, shown.T)
    unit = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    np.testing.assert_allclose(sums.gram / unit, gram / unit, atol=1e-6)
