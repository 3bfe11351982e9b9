"""Generalised least squares against dense matrices, finite differences and the ordinary fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.model.curves import model_curves
from homodyne_cli.core.model.pair_model import model_maps, pair_model
from homodyne_cli.core.noise import best_objective as module
from homodyne_cli.core.noise.angle_columns import angle_columns, block_columns
from homodyne_cli.core.noise.angle_data import FrameBlocks, angle_data
from homodyne_cli.core.noise.best_objective import (
    BestObjective,
    affordable_blocks,
    best_objective,
)
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.curve_products import mask
from homodyne_cli.core.noise.weighed_angle import AngleNoise, weigh_angle
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.noise_report import SpeckleWeights
from homodyne_cli.parameters import PerAngleMode
from tests.support.arrows import dense as written_out
from tests.support.oracle import autodiff_columns
from tests.support.problems import make_problem

EXPERIMENT = Experiment(
    parameters=np.array([4.0e4, -0.4, 300.0, 7.0e-4, -0.25, 1e-5, 2.0]),
    phi=np.array([-10.0, 45.0, 100.0]),
    n_frames=14,
    q=0.0054,
    gap=2.0e6,
    dt=0.4,
    contrast=0.3,
    offset=1.0,
)
NEARBY = EXPERIMENT.parameters * np.array([1.03, 1.1, 0.9, 0.98, 1.05, 1.2, 1.1])


def make(
    data: Dataset,
    mode: PerAngleMode = "individual",
    *,
    w: float = 0.006,
    size: int = 3,
    excess: float = 0.7,
) -> BestObjective:
    problem = make_problem(
        start=tuple(EXPERIMENT.parameters),
        per_angle_mode=mode,
        contrast=(0.3,) if mode == "fixed" else None,
        offset=(1.0,) if mode == "fixed" else None,
    )
    pairs = build_objective(data, problem, np.full(size, 0.05))
    weights = SpeckleWeights(
        parameters=tuple(EXPERIMENT.parameters.tolist()),
        contrast=(0.3, 0.25, 0.3)[:size],
        photon_noise=(w,) * size,
        n_speckles=(800.0, 900.0, 700.0)[:size],
        modes=2.0,
        excess=excess,
    )
    return best_objective(data, pairs, weights)


def speckle_data(frames: int = 14, seed: int = 0) -> Dataset:
    experiment = replace(EXPERIMENT, n_frames=frames)
    return simulate(experiment, Noise(speckles=800, counts=5.0), seed).dataset


def without(data: Dataset, frames: list[int], pairs: list[tuple[int, int]]) -> Dataset:
    c2 = data.array.copy()
    c2[:, frames], c2[:, :, frames] = np.nan, np.nan
    for i, j in pairs:
        c2[0, i, j] = c2[0, j, i] = np.nan
    return replace(data, c2=c2)


def dense(objective: BestObjective, angle: int) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Indices of the pairs of an angle, and its covariance without and with all of C's parts."""
    data, weights = objective.dataset, objective.weights
    maps = model_maps(
        data, np.array(weights.parameters), np.array(weights.contrast), np.ones(3), "he2024"
    )
    frames = np.arange(data.n_frames)
    g1 = maps.angles[angle].g1(frames[:, None], frames)
    known = np.triu(np.isfinite(data.array[angle]), 1)
    pairs = np.argwhere(known).astype(np.intp)
    unit = np.zeros((len(pairs), *known.shape))
    unit[np.arange(len(pairs)), pairs[:, 0], pairs[:, 1]] = 1.0
    unit += unit.swapaxes(1, 2)
    noise = objective.angles[angle].noise
    operator = SpeckleCovariance(
        g1, noise.contrast, noise.photon_noise, noise.modes, (known + known.T).astype(float)
    )
    i, j = pairs.T
    whole = operator.apply(unit)[:, i, j] + operator.four_cycles(unit)
    return pairs, operator.apply_main(unit)[:, i, j], whole


@pytest.mark.parametrize("bad", [False, True])
def test_chi2_and_scores_are_those_of_dense_matrices(bad: bool) -> None:
    """At w/c = 0.02 all eigenvectors are kept: to 1e-7. Frames 3, 4 and three pairs are lost."""
    data = speckle_data()
    if bad:
        data = without(data, [3, 4], [(0, 9), (5, 7), (6, 13)])
    objective = make(data)
    x = EXPERIMENT.parameters[objective.pairs.places]
    at = objective.derivatives(x)
    columns = autodiff_columns(data, objective.expand(x), "he2024")
    scores = written_out(objective.scores(x).variance)
    variances = np.zeros((3, len(x) + 2, len(x) + 2))
    parts, chi2 = np.zeros((3, len(x) + 2, len(x) + 2)), 0.0
    for a in range(3):
        pairs, main, whole = dense(objective, a)
        i, j = pairs.T
        noise, onto = objective.angles[a].noise, objective.directions(at, a)
        every = np.triu_indices(data.n_frames, 1)
        place = {pair: k for k, pair in enumerate(zip(*map(np.ndarray.tolist, every), strict=True))}
        here = [place[pair] for pair in zip(i.tolist(), j.tolist(), strict=True)]
        f = columns[a, -3, here]
        residual = at.contrast[a] * f + at.offset[a] - data.array[a][i, j]
        jacobian = onto.T @ np.vstack([columns[a][:-3, here], f, np.ones(len(f))])
        weights = np.linalg.solve(main, jacobian.T).T
        chi2 += noise.scale * float(residual @ np.linalg.solve(main, residual))
        parts[a] = noise.scale * weights @ jacobian.T
        variances[a] = noise.scale**2 / noise.n_speckles * weights @ whole @ weights.T
    variance = written_out(at.directions.assembled(variances))
    scale = np.sqrt(np.outer(np.diag(variance), np.diag(variance)))
    scale[scale == 0.0] = 1.0
    np.testing.assert_allclose(scores / scale, variance / scale, atol=1e-6)
    assert at.chi2 == pytest.approx(chi2, rel=1e-7)
    hessian = written_out(at.directions.assembled(parts))
    norm = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    np.testing.assert_allclose(written_out(at.hessian) / norm, hessian / norm, atol=1e-6)


@pytest.mark.parametrize("mode", ["individual", "shared", "fourier", "fixed"])
@pytest.mark.parametrize("w", [0.006, 1.0])
def test_gradient_is_that_of_chi2(mode: PerAngleMode, w: float) -> None:
    """Central differences, to 1e-4; where data end at a bound of the scaling as well."""
    objective = make(speckle_data(), mode, w=w)
    x = NEARBY[objective.pairs.places]
    at = objective.derivatives(x)
    assert objective.cost(x) == pytest.approx(at.chi2, rel=1e-10)
    norm = np.sqrt(np.diag(at.reduced_hessian))
    for k in range(len(x)):
        step = 1e-3 / norm[k]
        forward, back = x.copy(), x.copy()
        forward[k] += step
        back[k] -= step
        slope = (objective.cost(forward) - objective.cost(back)) / (2.0 * step)
        assert 2.0 * at.gradient[k] / norm[k] == pytest.approx(slope / norm[k], abs=3e-4)


def test_without_speckles_it_is_the_ordinary_fit() -> None:
    """Photon noise alone: weights are all alike, whatever the covariance of speckles."""
    data = speckle_data()
    objective = make(data, w=1e5)
    x = NEARBY[objective.pairs.places]
    at, plain = objective.derivatives(x), objective.pairs.derivatives(x)
    ratio = at.chi2 / plain.chi2
    # Angles differ in M; individual contrast and offset do not mind.
    assert ratio > 0.0
    same = replace(objective.weights, contrast=(0.3,) * 3, n_speckles=(800.0,) * 3)
    at = best_objective(data, objective.pairs, same).derivatives(x)
    factor = at.chi2 / plain.chi2
    ordinary = factor * written_out(plain.hessian)
    np.testing.assert_allclose(written_out(at.hessian), ordinary, rtol=1e-4)
    np.testing.assert_allclose(at.contrast, plain.contrast, rtol=1e-4)


def test_blocks_lose_little_where_dynamics_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three frames in one at w/c = 3: uncertainties grow by up to 15%, pairs are a ninth."""
    experiment = replace(EXPERIMENT, n_frames=180, dt=0.035)
    data = simulate(experiment, Noise(speckles=800, counts=1.0), 1).dataset
    every = make(data, w=1.0)
    monkeypatch.setattr(module, "_MOST_BLOCKS", 60)
    blocked = make(data, w=1.0)
    x = EXPERIMENT.parameters[every.pairs.places]
    assert blocked.n_points == 3 * (60 * 59 // 2)
    one, other = every.derivatives(x), blocked.derivatives(x)
    # Offsets of the rates trade off with their exponents, and are left out.
    kept = np.ix_([0, 3, 6, *range(7, 13)], [0, 3, 6, *range(7, 13)])
    hessians = [written_out(at.hessian) for at in (one, other)]
    sigma = [np.sqrt(np.diag(np.linalg.inv(hessian[kept]))) for hessian in hessians]
    np.testing.assert_allclose(sigma[1], sigma[0], rtol=0.16)
    assert other.chi2 / blocked.n_points == pytest.approx(1.0, abs=0.15)
    ratios = []
    for objective, hessian in ((every, hessians[0]), (blocked, hessians[1])):
        scores = objective.scores(x).variance
        ratios.append(np.diag(written_out(scores)) / np.diag(hessian))
    np.testing.assert_allclose(ratios[1], ratios[0], rtol=0.1)


def test_chi2_is_as_many_pairs_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not the main part keeps its share of a pair: 1 / frames, in blocks of 5 as well."""
    experiment = replace(EXPERIMENT, n_frames=180, dt=0.035)
    data = simulate(experiment, Noise(speckles=800, counts=1.0), 1).dataset
    ratios = []
    for most in (180, 60, 36):
        monkeypatch.setattr(module, "_MOST_BLOCKS", most)
        objective = make(data, w=1.0, excess=9.0)
        ratios.append(objective.cost(EXPERIMENT.parameters[objective.pairs.places]))
        ratios[-1] /= objective.n_points
    # Each is good to 0.05: what a few strong modes of 800 speckles leave.
    np.testing.assert_allclose(ratios, ratios[0], rtol=0.05)


@pytest.mark.parametrize("n_phi", [1, 20, 23, 100, 1000])
def test_a_pass_is_affordable_whatever_the_number_of_angles(n_phi: int) -> None:
    """Thirty million squares over all angles, and no more blocks than 1,200 in any."""
    blocks = affordable_blocks(n_phi)
    assert blocks <= 1200
    assert n_phi * blocks**2 <= 30_000_000
    assert blocks == 1200 or n_phi * (blocks + 1) ** 2 > 30_000_000


def test_an_angle_without_data_does_not_count() -> None:
    data = speckle_data()
    c2 = data.array.copy()
    c2[1] = np.nan
    objective = make(replace(data, c2=c2), "shared")
    assert [angle.data.angle for angle in objective.angles] == [0, 2]
    assert np.isfinite(objective.derivatives(NEARBY[objective.pairs.places]).chi2)


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_a_pass_without_columns_is_that_with_columns(bad: bool, static: bool) -> None:
    """Sums and thin products against maps of every column, to rounding."""
    data = speckle_data(40)
    if bad:
        data = without(data, [3, 17], [(0, 9), (5, 7), (16, 33)])
    values = EXPERIMENT.parameters[: 3 if static else 7]
    curves = model_curves(data.t, data.phi, data.q, None if static else 2e6, values, "he2024")
    angle = angle_data(data, 0, 1000)
    assert angle is not None
    frames = angle.blocks.frames[:, 0]
    model = pair_model(curves, 0, "he2024")
    maps = angle_columns(model, curves, 0, 1.0, frames, frames)[:-1]
    maps *= mask(angle.present, slice(0, len(frames)), slice(0, len(frames)))
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((len(frames), 5)))[0]
    weighed = weigh_angle(angle, curves, "he2024", AngleNoise(0.3, 1.0, 1.0, 1.0, 1.0))
    passed = weighed.products(curves, vectors, derivatives=True)
    thin = maps @ vectors + maps.swapaxes(1, 2) @ vectors
    np.testing.assert_allclose(passed.thin, thin, atol=1e-12 * np.abs(thin).max(axis=(1, 2)).max())
    every = np.concatenate([maps, np.triu(np.ones_like(maps[:1]), 1), angle.values[None]])
    sums = np.einsum("kij,lij->kl", maps, every)
    unit = np.sqrt(np.outer(np.diag(sums), np.einsum("kij,kij->k", every, every)))
    np.testing.assert_allclose(passed.plain / unit, sums / unit, atol=1e-13)
    f_alone = weighed.products(curves, vectors, derivatives=False)
    np.testing.assert_allclose(f_alone.thin[0], thin[-1], atol=1e-13)
    np.testing.assert_allclose(f_alone.plain[0], passed.plain[-1, -3:], rtol=1e-12)


@pytest.mark.parametrize("size", [2, 5, 9])
@pytest.mark.parametrize("static", [False, True])
def test_columns_over_blocks_are_means_of_columns_at_frames(size: int, static: bool) -> None:
    """Against columns at every pair of the blocks' frames, weighed as the blocks say.

    Columns are differences of curves at frames nearby, and lose three digits of sixteen.
    """
    data = speckle_data(8 * size)
    values = EXPERIMENT.parameters[: 3 if static else 7]
    curves = model_curves(data.t, data.phi, data.q, None if static else 2e6, values, "he2024")
    blocks = FrameBlocks.of(8 * size, 8)
    assert blocks.size == size
    model, frames, m = pair_model(curves, 1, "he2024"), blocks.frames.ravel(), len(blocks)
    at_frames = angle_columns(model, curves, 1, 1.0, frames, frames)
    weights = np.kron(np.eye(m), blocks.weights)
    expected = weights @ at_frames @ weights.T
    rows, right = slice(1, 3), slice(1, m)
    columns = block_columns(model, curves, 1, blocks, rows, right)
    above = np.triu(np.ones((m, m), bool), 1)[rows, right]
    scale = np.abs(expected[:, rows, right]).max(axis=(1, 2))[:, None]
    np.testing.assert_allclose(
        columns[:, above] / scale, expected[:, rows, right][:, above] / scale, atol=1e-12
    )
    f = blocks.means(model.f, rows, right)
    np.testing.assert_allclose(f, expected[-2, rows, right], atol=1e-14)


@pytest.mark.parametrize("size", [2, 3, 5, 7, 9, 15, 31])
def test_few_frames_stand_for_their_block(size: int) -> None:
    """Means of polynomials to third order are those of all frames; of fourth, as frames allow."""
    blocks = FrameBlocks.of(8 * size, 8)
    every = np.arange(8 * size).reshape(8, size)
    assert len(blocks) == 8
    for frames, own in zip(blocks.frames, every, strict=True):
        assert set(frames.tolist()) <= set(own.tolist())
        middle = own.mean()
        for power in range(4):
            mean = np.mean((own - middle) ** power)
            assert blocks.weights @ (frames - middle) ** power == pytest.approx(mean, abs=1e-9)
        fourth = np.mean((own - middle) ** 4)
        assert blocks.weights @ (frames - middle) ** 4 == pytest.approx(fourth, rel=0.3)


def test_blocks_without_any_pair_leave() -> None:
    """As a metric that knows that their pairs are absent, which has a row of unknowns for each."""
    data = without(speckle_data(42), [8, 9, 30], [(0, 20)])
    curves = model_curves(data.t, data.phi, data.q, 2e6, EXPERIMENT.parameters, "he2024")
    kept = angle_data(data, 0, 14)
    assert kept is not None
    assert kept.present is not None
    assert (kept.blocks.size, len(kept.blocks)) == (3, 11)
    held = [b for b in range(14) if b not in (2, 3, 10)]
    np.testing.assert_array_equal(kept.blocks.frames[:, 1] // 3, held)
    every = FrameBlocks.of(42, 14)
    values, present = np.zeros((14, 14)), np.zeros((14, 14), bool)
    values[np.ix_(held, held)], present[np.ix_(held, held)] = kept.values, kept.present
    whole = replace(kept, blocks=every, values=values, present=present)
    noise = AngleNoise(0.3, 0.006, 2.0, 800.0, 800.0)
    one, other = (weigh_angle(part, curves, "he2024", noise).gram(curves) for part in (kept, whole))
    unit = np.sqrt(np.diag(other))
    np.testing.assert_allclose(one / np.outer(unit, unit), other / np.outer(unit, unit), atol=1e-7)


def test_means_over_blocks_keep_the_precision_of_the_data() -> None:
    """Single and double precision agree to the rounding of the single one."""
    data = speckle_data(40)
    single = replace(data, c2=data.array.astype(np.float32))
    one, other = (angle_data(d, 0, 8) for d in (single, data))
    assert one is not None
    assert other is not None
    assert one.blocks.size == 5
    assert one.values.dtype == np.float32
    assert other.values.dtype == np.float64
    np.testing.assert_allclose(one.values, other.values, atol=3e-7)
    i, j = np.triu_indices(8, 1)
    means = data.array[0].reshape(8, 5, 8, 5).mean(axis=(1, 3))[i, j]
    np.testing.assert_allclose(other.values[i, j] + other.shift, means, atol=1e-14)


def test_equal_weights_gain_nothing_where_photons_make_the_noise() -> None:
    data = speckle_data(30)
    gains = []
    for w in (0.006, 1.0, 1e4):
        objective = make(data, w=w)
        x = EXPERIMENT.parameters[objective.pairs.places]
        gains.append(objective.scores(x).gain)
    assert gains[0] > gains[1] > 1.1
    assert gains[2] == pytest.approx(1.0, abs=0.01)
