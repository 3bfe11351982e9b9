"""Parts of the count of speckles against dense matrices, quadrature and plain loops."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy import integrate, stats

from homodyne_cli.core.noise import speckle_estimate as module
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.speckle_estimate import estimate_speckles, white_noise
from homodyne_cli.core.noise.windows import Window
from homodyne_cli.dataset import FloatArray
from tests.unit.noise.test_covariance_operator import (
    dense,
    irregular_g1,
    present_pairs,
    random_maps,
    units,
)

CONTRAST = 0.3


def window(n: int, seed: int = 0, absent: int = 0, angle: int = 0) -> Window:
    present = present_pairs(n, absent, seed)
    residual = 0.05 * random_maps(1, present, seed)[0]
    return Window(angle, irregular_g1(n, seed), residual, present, CONTRAST)


def operator(one: Window, w: float, modes: float) -> SpeckleCovariance:
    return SpeckleCovariance(one.g1, CONTRAST, w, modes, one.present)


def dense_weights(one: Window, w: float) -> FloatArray:
    """(n, n) map C0^-1 R."""
    maps, i, j = units(one.present)
    values = np.linalg.solve(dense(operator(one, w, 1.0), main=True), one.residual[i, j])
    return np.asarray(np.einsum("k,kij->ij", values, maps))


def whole(one: Window, w: float, modes: float) -> FloatArray:
    """C over pairs, the 4-cycle included."""
    of_modes = operator(one, w, modes)
    return np.asarray(dense(of_modes) + of_modes.four_cycles(units(one.present)[0]))


def test_moments_of_a_cut_off_square() -> None:
    def mean(power: int, limit: float, cut: float) -> float:
        inside = integrate.quad(lambda z: z ** (2 * power) * stats.norm.pdf(z), -limit, limit)[0]
        return float(inside + cut**power * 2.0 * stats.norm.sf(limit))

    cut, root = module.CUT, np.sqrt(module.CUT)
    assert cut == 6.0
    assert pytest.approx(mean(1, root, cut), rel=1e-9) == module._CUT_MEAN
    assert pytest.approx(mean(2, root, cut), rel=1e-9) == module._CUT_SQUARE
    step = 1e-4
    grown = [np.exp(s) * mean(1, np.sqrt(cut / np.exp(s)), cut / np.exp(s)) for s in (step, -step)]
    assert (grown[0] - grown[1]) / (2.0 * step) == pytest.approx(module._CUT_SLOPE, rel=1e-6)


@pytest.mark.parametrize("n", [11, 13])
@pytest.mark.parametrize(("w", "bright"), [(0.2, False), (0.02, False), (0.02, True)])
def test_a_window_scores_as_its_modes_do_one_by_one(n: int, w: float, bright: bool) -> None:
    """Slopes are differences of ln(s_i s_j / M) with w = v^(1/2) / mu, M = mu^-2, over ln steps."""
    one, scale = window(n, seed=2), 0.06
    values, q = np.linalg.eigh(one.g1**2)
    values, q = values[::-1], q[:, ::-1]
    z = q.T @ dense_weights(one, w) @ q
    kappa = np.random.default_rng(1).uniform(1.0, 3.0, n * (n + 1) // 2)

    def log_variance(i: int, j: int, ln_v: float, ln_mu: float) -> float:
        photons = w * np.exp(0.5 * ln_v - ln_mu)
        pair = (CONTRAST * values[i] + photons) * (CONTRAST * values[j] + photons)
        return float(np.log(pair) + 2.0 * ln_mu)

    share = w / (CONTRAST * values + w)
    left_out = n // 6
    if bright:
        left_out = min(left_out, int(np.sum(share <= 0.1)) // 2)
    score, information, h = np.zeros(2), np.zeros((2, 2)), 1e-5
    for k, (i, j) in enumerate(combinations_with_replacement(range(n), 2)):
        if max(i, j) < left_out:
            continue
        strengths = CONTRAST * values[[i, j]] + w
        variance = kappa[k] * scale**2 * (1.0 + (i == j)) / np.prod(strengths)
        slopes = np.array(
            [
                (log_variance(i, j, h, 0.0) - log_variance(i, j, -h, 0.0)) / (2.0 * h),
                (log_variance(i, j, 0.0, h) - log_variance(i, j, 0.0, -h)) / (2.0 * h),
            ]
        )
        if bright:
            slopes *= [0.0, float(max(share[i], share[j]) <= 0.1)]
        score += 0.5 * slopes * (min(z[i, j] ** 2 / variance, 6.0) - module._CUT_MEAN)
        information += 0.5 * np.outer(slopes, slopes)
    found = module._window_score(one, kappa, w, scale, bright)
    assert np.abs(score[1]) > 0.0
    np.testing.assert_allclose(found[0], score, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found[1], information, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("absent", [0, 5])
def test_what_is_not_the_main_part_is_that_of_dense_matrices(absent: int) -> None:
    """The same random signs stand for the trace; modes are where C has its three powers."""
    one, w = window(8, seed=1, absent=absent), 0.1
    _, i, j = units(one.present)
    main = dense(operator(one, w, 1.0), main=True)
    inverse, rest = np.linalg.inv(main), dense(operator(one, w, 1.0)) - main
    signs = (module._signs(one, 8) * one.present)[:, i, j]
    observed, *powers = module._excess(one, w, 500.0, 3)
    weights = inverse @ one.residual[i, j]
    assert observed == pytest.approx(500.0 * weights @ rest @ weights, rel=1e-7)
    for modes in (1.0, 2.0, 7.0):
        product = inverse @ rest @ inverse @ whole(one, w, modes)
        expected = np.mean([sign @ product @ sign for sign in signs])
        series = powers @ np.array([1.0, modes**-0.5, 1.0 / modes])
        assert series == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(24, 8), (7, 9)])
def test_signs_are_symmetric_and_fair(shape: tuple[int, int]) -> None:
    n, count = shape
    one = window(n, angle=3)
    signs = module._signs(one, count)
    assert signs.shape == (count, n, n)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    np.testing.assert_array_equal(signs, signs.swapaxes(1, 2))
    # Four standard errors of a mean.
    assert abs(signs[:, *np.triu_indices(n)].mean()) < 4.0 / np.sqrt(count * n * (n + 1) / 2)
    assert not np.array_equal(signs, module._signs(replace(one, angle=4), count))


@pytest.mark.parametrize(
    ("n", "edges"), [(24, (2, 4, 10)), (50, (3, 7, 19))], ids=["short", "long"]
)
def test_variances_of_modes_are_means_over_groups(
    monkeypatch: pytest.MonkeyPatch, n: int, edges: tuple[int, ...]
) -> None:
    """Var Z_ij s_i s_j / (1 + d_ij) written out; 600 draws know most groups to some percent."""
    monkeypatch.setattr(module, "_SIGNS", 600 if n < 30 else 6)
    one, w, modes = window(n, seed=1), 0.08, 2.0
    rank = np.searchsorted(edges, np.arange(n), side="right")
    i, j = np.triu_indices(n)
    groups = rank[i] * 10 + rank[j]
    kappa = module._kappa(one, w, modes, 1)
    assert kappa.pairs == n * (n - 1) / 2
    for group in np.unique(groups):
        assert np.ptp(kappa.values[groups == group]) < 1e-12
    assert len(np.unique(kappa.values)) == len(np.unique(groups)) == 10
    if n > 30:
        return
    values, q = np.linalg.eigh(one.g1**2)
    values, q = values[::-1], q[:, ::-1]
    _, k, m = units(one.present)
    inverse = np.linalg.inv(dense(operator(one, w, modes), main=True))
    covariance = inverse @ whole(one, w, modes) @ inverse
    onto = q[k][:, i] * q[m][:, j] + q[m][:, i] * q[k][:, j]
    variance = np.einsum("pa,pr,ra->a", onto, covariance, onto)
    strengths = CONTRAST * values + w
    exact = variance * strengths[i] * strengths[j] / np.where(i == j, 2.0, 1.0)
    for group in np.unique(groups):
        members = groups == group
        error = 3.0 / np.sqrt(600.0 * members.sum())
        found = kappa.values[members][0]
        assert found == pytest.approx(exact[members].mean(), rel=0.03 + error), group
    assert kappa.excess == pytest.approx(n * (exact.sum() / kappa.pairs - 1.0), rel=0.05)


@pytest.mark.parametrize(
    ("x", "contrast", "modes"),
    [(0.75, 0.25, 0.75**-2), (0.3, 0.25, 4.0), (1.4, 0.25, 1.0), (0.6, 0.49, 1.0 / 0.49),
     (0.7, 1.2, 1.0)],
)  # fmt: skip
def test_modes_are_where_what_is_seen_is_expected(x: float, contrast: float, modes: float) -> None:
    parts = np.array([0.5 + 2.0 * x + 3.0 * x**2, 0.5, 2.0, 3.0])
    assert module._modes(parts, contrast) == pytest.approx(modes, rel=1e-9)


def test_photons_have_a_floor_and_shares() -> None:
    """w = (v share)^(1/2) / mu."""
    variance, share = np.array([0.04, 0.09, 1e-8]), np.array([1.0, 4.0, 1.0])
    found = module._photon_noise(np.log(variance), 0.1, share, np.array([0.0, 0.0, 0.02]))
    np.testing.assert_allclose(found, [2.0, 6.0, 0.02], rtol=1e-12)


def test_white_noise_has_no_speckles() -> None:
    nothing = white_noise(3)
    assert nothing.white
    assert nothing.excess == 0.0
    assert nothing.modes == 1.0
    np.testing.assert_array_equal(nothing.share, np.ones(3))
    assert np.isinf([*nothing.photon_noise, *nothing.photon_noise_error]).all()
    counted = replace(nothing, n_speckles=100.0, share=np.array([0.5, 1.5]))
    assert not counted.white
    np.testing.assert_allclose(counted.of_angles, [50.0, 150.0])


def test_an_angle_without_a_window_keeps_its_variance() -> None:
    """w = (v share M)^(1/2) with the variance that it was given."""
    rng = np.random.default_rng(8)
    windows = []
    for angle in (0, 2):
        one = window(24, seed=1, angle=angle)
        pairs, i, j = units(one.present)
        root = np.linalg.cholesky(whole(one, 0.2, 1.0) / 400.0)
        drawn = root @ rng.standard_normal(len(pairs))
        residual = np.zeros((24, 24))
        residual[i, j] = residual[j, i] = drawn
        windows.append(replace(one, residual=residual))
    share = np.array([1.0, 2.25, 1.0])
    told = estimate_speckles(windows, np.array([1e-4, 4e-4, 1e-4]), share)
    assert told.n_speckles == pytest.approx(400.0, abs=4.0 * told.n_speckles_error)
    unseen = 0.02 * 1.5 * np.sqrt(told.n_speckles)
    assert told.photon_noise[1] == pytest.approx(unseen, rel=1e-9)
    np.testing.assert_allclose(told.photon_noise[[0, 2]], 0.2, rtol=0.35)


def test_a_count_is_where_scores_vanish_and_knows_its_errors() -> None:
    """Inverse information of both unknowns, times what cutting off costs, to ln w by the chain."""
    rng, share = np.random.default_rng(4), np.array([2.0])
    windows = []
    for seed in (1, 2):
        one = window(20, seed=seed)
        _, i, j = units(one.present)
        root = np.linalg.cholesky(dense(operator(one, 0.3, 1.0), main=True) / 600.0)
        residual = np.zeros((20, 20))
        residual[i, j] = residual[j, i] = root @ rng.standard_normal(len(i))
        windows.append(replace(one, residual=residual))
    kappas = [module._main_part_alone(one) for one in windows]
    assert [k.pairs for k in kappas] == [190.0, 190.0]
    solved = module._score(windows, kappas, np.log([2e-4]), 0.05, share, np.zeros(1))
    assert solved is not None
    log_v, mu, errors = solved
    # w = (v share)^(1/2) / mu, and M of the angle is share / mu^2.
    w = float(np.exp(0.5 * log_v[0])) * np.sqrt(2.0) / mu
    parts = [
        module._window_score(one, k.values, w, mu / np.sqrt(2.0), bright=False)
        for one, k in zip(windows, kappas, strict=True)
    ]
    information = parts[0][1] + parts[1][1]
    score = parts[0][0] + parts[1][0]
    assert np.all(np.abs(score) < 0.05 * np.sqrt(np.diag(information)))
    spread = module._CUT_SQUARE - module._CUT_MEAN**2
    known = np.linalg.inv(information) * spread / (2.0 * module._CUT_SLOPE**2)
    onto = np.array([0.5, -1.0])
    assert errors[0] == pytest.approx(np.sqrt(onto @ known @ onto), rel=0.01)
    assert errors[1] == pytest.approx(mu * np.sqrt(known[1, 1]), rel=0.01)
    assert share[0] / mu**2 == pytest.approx(600.0, rel=4.0 * errors[1] / mu * 2.0)
