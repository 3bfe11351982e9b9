"""Algebra over blocks of frames, limits of the noise of an angle, and information by kappa."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.noise import covariance_operator as operator_module
from homodyne_cli.core.noise.angle_data import AngleData, FrameBlocks
from homodyne_cli.core.noise.best_objective import angle_noise
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance, sums_over_pairs
from homodyne_cli.core.noise.expected_information import (
    AngleInformation,
    _interpolated,
    _nodes,
)
from homodyne_cli.core.noise.pair_precision import absent_pairs, pair_precision
from homodyne_cli.core.noise.weighed_angle import AngleNoise
from homodyne_cli.dataset import FloatArray
from homodyne_cli.noise_report import SpeckleWeights
from tests.unit.noise.test_covariance_operator import irregular_g1, present_pairs, random_maps


@pytest.mark.parametrize("absent", [0, 12])
@pytest.mark.parametrize(("n", "size"), [(12, 1), (12, 3), (14, 4)])
@pytest.mark.parametrize("w", [0.01, 0.5])
def test_weights_over_blocks_are_sums_of_weights(n: int, size: int, absent: int, w: float) -> None:
    """The last frames that fill no block are left out."""
    present = present_pairs(n, absent)
    precision = pair_precision(irregular_g1(n) ** 2, 0.4, w, present)
    maps, m = random_maps(3, present), n // size
    whole = slice(0, m * size)

    def summed(values: FloatArray) -> FloatArray:
        return np.asarray(values[:, whole, whole].reshape(-1, m, size, m, size).sum(axis=(2, 4)))

    sketch = precision.sketch(maps @ precision.vectors)
    found = precision.block_weights(summed(maps), sketch, size)
    exact = summed(precision.weights(maps))
    np.testing.assert_allclose(found, exact, atol=1e-9 * np.abs(exact).max())


def test_sketches_are_joined() -> None:
    present = present_pairs(9, 5)
    precision = pair_precision(irregular_g1(9) ** 2, 0.4, 0.1, present)
    maps = random_maps(4, present)
    left, right, both = (
        precision.sketch(part @ precision.vectors) for part in (maps[:2], maps[2:], maps[:3])
    )
    joined = left.followed_by(right, 1)
    for name in ("thin", "core", "absent"):
        np.testing.assert_allclose(getattr(joined, name), getattr(both, name), atol=1e-13)


def test_eigenvalues_below_a_tenth_of_the_photons_are_pooled() -> None:
    """F diagonal: 0.09 and 0.11 of w / c, beside one; what is left out has their mean."""
    f = np.diag([1.0, 0.11, 0.09, 0.03])
    precision = pair_precision(f, 0.5, 0.5)
    assert precision.vectors.shape == (4, 2)
    assert precision.base == pytest.approx(0.5 + 0.5 * 0.06)
    s = np.sort(precision.base / (1.0 - precision.shrink))
    np.testing.assert_allclose(s, [0.5 * 1.11, 0.5 * 2.0], rtol=1e-12)
    every = pair_precision(f, 0.5, 0.1)
    assert every.base == 0.1
    assert len(every.shrink) == 4


def test_absent_pairs_begin_with_the_diagonal() -> None:
    present = np.ones((4, 4))
    present[1, 3] = present[3, 1] = present[0, 2] = present[2, 0] = 0.0
    i, j = absent_pairs(present, 4)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [
        *((k, k) for k in range(4)), (0, 2), (1, 3),
    ]  # fmt: skip
    np.testing.assert_array_equal(absent_pairs(None, 3), [[0, 1, 2], [0, 1, 2]])


def cycles(noise: SpeckleCovariance, one: FloatArray, other: FloatArray) -> float:
    """<V, cycle V'> over pairs of pairs, one at a time."""
    n, total, g = len(one), 0.0, noise.g1
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    for i, j in pairs:
        for k, m in pairs:
            ring = g[i, k] * g[k, j] * g[j, m] * g[m, i]
            total += one[i, j] * other[k, m] * 2.0 * noise.contrast**2 / noise.modes * ring
    return total


@pytest.mark.parametrize(("n", "most"), [(6, 64), (8, 4), (9, 3), (7, 4)])
def test_four_cycles_over_blocks(monkeypatch: pytest.MonkeyPatch, n: int, most: int) -> None:
    """Of a field that is the same within blocks they are those over frames."""
    monkeypatch.setattr(operator_module, "_CYCLE_BLOCKS", most)
    size = -(-n // most)
    few = irregular_g1(-(-n // size))
    block = np.arange(n) // size
    present = present_pairs(n, 2)
    noise = SpeckleCovariance(few[np.ix_(block, block)], 0.4, 0.2, 2.5, present)
    maps = random_maps(2, present)
    exact = [[cycles(noise, a, b) for b in maps] for a in maps]
    np.testing.assert_allclose(noise.four_cycles(maps), exact, rtol=1e-9)
    applied = noise.apply_four_cycles(maps)
    for a, one in enumerate(maps):
        products = sums_over_pairs(np.stack([one, one]), applied)
        np.testing.assert_allclose(products, exact[a], rtol=1e-9)
    assert np.all(applied[:, present == 0.0] == 0.0)


@pytest.mark.parametrize(("w", "is_white"), [(1499.0, False), (1501.0, True)])
def test_noise_is_white_from_five_thousand_contrasts_on(w: float, is_white: bool) -> None:
    noise = SpeckleCovariance(np.eye(3), 0.3, w, 4.0, present_pairs(3))
    assert noise.is_white == is_white
    assert noise.third == pytest.approx(0.3**1.5 / 2.0)
    assert noise.fourth == pytest.approx(0.09 / 4.0)


def of_angle(contrast: float, modes: float, size: int = 3) -> AngleNoise:
    weights = SpeckleWeights(
        parameters=(1.0,), contrast=(0.2, contrast), photon_noise=(0.1, 0.7),
        n_speckles=(100.0, 800.0), modes=modes, excess=6.0,
    )  # fmt: skip
    frames = np.arange(5 * size).reshape(5, size)
    blocks = FrameBlocks(frames, np.full(size, 1.0 / size), size)
    data = AngleData(1, blocks, np.zeros((5, 5)), None, 0.0, np.zeros((2, 2)))
    return angle_noise(weights, data)


def test_noise_of_an_angle() -> None:
    """What is not the main part adds 6 of the 15 frames to a pair."""
    noise = of_angle(0.25, 3.0)
    assert noise == AngleNoise(0.25, 0.7, 3.0, 800.0, noise.scale)
    assert noise.scale == pytest.approx(800.0 / 1.4)
    assert of_angle(0.25, 5.0).modes == pytest.approx(4.0)
    assert of_angle(1.5, 1.0).contrast == 1.0
    assert of_angle(-0.1, 1.0).contrast == pytest.approx(1e-6)


def test_photons_of_a_block_have_a_floor() -> None:
    noise = AngleNoise(0.5, 0.011, 1.0, 10.0, 10.0)
    assert noise.over(4) == replace(noise, photon_noise=0.011 / 4.0)
    assert replace(noise, photon_noise=0.009).over(2).photon_noise == pytest.approx(0.005)


def test_slope_acts_on_phi0_alone() -> None:
    """phi0 stands before f and 1."""
    one = AngleInformation(np.ones((5, 5)), np.full((5, 5), 2.0), 3)
    factor = np.outer([1.0, 1.0, 7.0, 1.0, 1.0], [1.0, 1.0, 7.0, 1.0, 1.0])
    steep = one.with_slope(7.0)
    np.testing.assert_array_equal(steep.gram, factor)
    np.testing.assert_array_equal(steep.score, 2.0 * factor)
    assert steep.merged == 3


@pytest.mark.parametrize(("least", "most"), [(1.6, 3.0), (0.2, 40.0), (1.0, 1.0)])
def test_nodes_are_powers_and_reach_beyond_both_ends(least: float, most: float) -> None:
    nodes = _nodes(least, most)
    np.testing.assert_allclose(nodes[1:] / nodes[:-1], 1.5, rtol=1e-12)
    powers = np.log(nodes) / np.log(1.5)
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-9)
    assert nodes[1] <= least * (1.0 + 1e-9) < nodes[2]
    assert nodes[-3] < most * (1.0 + 1e-9)
    assert nodes[-2] >= most * (1.0 - 1e-9)


def test_powers_of_kappa_are_read_off_exactly() -> None:
    """On the nodes, between them, and below them."""
    power = np.array([0.0, 1.0, 2.0])

    def of(kappa: float) -> AngleInformation:
        columns = np.array([2.0, 3.0, 5.0]) * kappa**power
        shape = np.array([[1.0, 0.3, 0.2], [0.3, 1.0, 0.1], [0.2, 0.1, 1.0]])
        gram = np.outer(columns, columns) * shape
        return AngleInformation(gram, gram * np.array([[2.0, 1.0, 4.0]] * 3), 5)

    nodes = _nodes(0.5, 4.0)
    kappas = np.array([0.01, 0.1, 0.5, 0.77, float(nodes[3]), 4.0])
    for kappa, found in zip(
        kappas, _interpolated(nodes, [of(k) for k in nodes], kappas), strict=True
    ):
        np.testing.assert_allclose(found.gram, of(kappa).gram, rtol=1e-9)
        np.testing.assert_allclose(found.score, of(kappa).score, rtol=1e-9)
        assert found.merged == 5
