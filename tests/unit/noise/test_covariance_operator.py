"""The covariance operator against moments term by term, drawn speckles and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance, sums_over_pairs
from homodyne_cli.core.noise.pair_precision import pair_precision
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.core.simulation import mode_weights, speckle_intensities
from homodyne_cli.dataset import FloatArray, IndexArray
from tests.support.speckle_moments import BrightSpeckle


def irregular_g1(n: int, seed: int = 0) -> FloatArray:
    """Decay and shear with uneven steps; the sinc changes sign."""
    rng = np.random.default_rng(seed)
    decay, phase = np.cumsum(rng.uniform(0.05, 0.3, n)), np.cumsum(rng.uniform(0.5, 1.5, n))
    fall = np.exp(-np.abs(decay[:, None] - decay))
    return np.asarray(fall * np.sinc((phase[:, None] - phase) / np.pi / 1.5))


def present_pairs(n: int, absent: int = 0, seed: int = 0) -> FloatArray:
    present = 1.0 - np.eye(n)
    i, j = np.triu_indices(n, 1)
    gone = np.random.default_rng(seed).choice(len(i), absent, replace=False)
    present[i[gone], j[gone]] = present[j[gone], i[gone]] = 0.0
    return present


def units(present: FloatArray) -> tuple[FloatArray, IndexArray, IndexArray]:
    """Maps that are one at a single pair present (k, n, n), and these pairs."""
    i, j = (np.asarray(at, dtype=np.intp) for at in np.nonzero(np.triu(present, 1)))
    maps = np.zeros((len(i), *present.shape))
    maps[np.arange(len(i)), i, j] = maps[np.arange(len(i)), j, i] = 1.0
    return maps, i, j


def dense(operator: SpeckleCovariance, *, main: bool = False) -> FloatArray:
    maps, i, j = units(operator.present)
    applied = operator.apply_main(maps) if main else operator.apply(maps)
    return applied[:, i, j].T


def random_maps(count: int, present: FloatArray, seed: int = 1) -> FloatArray:
    half = np.triu(np.random.default_rng(seed).standard_normal((count, *present.shape)), 1)
    return np.asarray((half + half.swapaxes(1, 2)) * present)


@pytest.mark.parametrize(("modes", "photon_noise"), [(1.0, 0.0), (1.0, 0.4), (2.5, 0.4)])
@pytest.mark.parametrize("absent", [0, 4])
def test_covariance_is_the_sum_over_cumulants(
    modes: float, photon_noise: float, absent: int
) -> None:
    """All pairs of pairs of 7 frames, the 4-cycle taken away: to rounding."""
    g1, present = irregular_g1(7), present_pairs(7, absent)
    operator = SpeckleCovariance(g1, 0.4, photon_noise, modes, present)
    speckle = BrightSpeckle(g1, 0.4, photon_noise, modes)
    _, i, j = units(present)
    pairs = list(zip(i.tolist(), j.tolist(), strict=True))
    slow = [[speckle.covariance(p, q) - speckle.four_cycle(p, q) for q in pairs] for p in pairs]
    np.testing.assert_allclose(dense(operator), slow, atol=1e-14)


@pytest.mark.parametrize("contrast", [0.5, 0.3])
def test_scores_of_drawn_speckles_vary_as_it_says(contrast: float) -> None:
    """Variance of <V, psi> over 400,000 speckles with photons, fewest modes: to 3% (3 errors).

    At contrast 0.3 the modes are not equal; three of 0.3 and one of 0.1 act as 3.1 equal ones.
    """
    n, w, count = 6, 0.5, 400_000
    g1, present = irregular_g1(n, seed=3), present_pairs(n)
    rng = np.random.default_rng(2)
    mean = speckle_intensities(np.asarray(np.linalg.cholesky(g1)), contrast, count, rng)
    y = w * rng.poisson(mean / w) - 1.0
    modes = contrast**2 / float(np.sum(mode_weights(contrast) ** 4))
    b = contrast * g1**2
    speckle = BrightSpeckle(g1, contrast, w, modes)
    operator = SpeckleCovariance(g1, contrast, w, modes, present)
    for v in random_maps(3, present):
        score = 0.5 * np.einsum("im,ij,jm->m", y, v, y) - (v * b).sum(axis=1) @ y
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
        cycle = sum(v[p] * v[q] * speckle.four_cycle(p, q) for p in pairs for q in pairs)
        expected = sums_over_pairs(v[None], operator.apply(v[None]))[0] + cycle
        assert score.var() == pytest.approx(expected, rel=0.03)


def lag_average(n: int, lag: int) -> FloatArray:
    """Weights of the mean over all pairs of one lag."""
    v = np.eye(n, k=lag) / (n - lag)
    return np.asarray(v + v.T)[None]


def exponential_g1(n: int, per_frame: float) -> FloatArray:
    """F falls by the factor `per_frame` in a frame."""
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.asarray(per_frame ** (0.5 * lag))


@pytest.mark.parametrize("lag", [1, 3, 10])
@pytest.mark.parametrize("w", [0.0, 0.2, 3.0])
def test_main_part_and_photons_are_koppels_formula(lag: int, w: float) -> None:
    """Variance of the equal-lag average of a single exponential, Koppel 1974: to 3% at 600 frames.

    His formula is that of a long series and of light whose higher cumulants vanish.
    """
    n, a, c = 600, 0.8, 0.3
    g1 = exponential_g1(n, a)
    operator = SpeckleCovariance(g1, c, w, 1.0, present_pairs(n))
    v = lag_average(n, lag)
    photons = w**2 * c * a**lag * v
    found = sums_over_pairs(v, operator.apply_main(v) + photons)[0]
    y = a ** (2 * lag)
    speckles = ((1 + a**2) * (1 + y) + 2 * lag * (1 - a**2) * y) / (1 - a**2)
    koppel = c**2 * speckles + 2 * w * c * (1 + y) + w**2 * (1 + c * a**lag)
    assert found * (n - lag) == pytest.approx(koppel, rel=0.03)


@pytest.mark.parametrize("lag", [1, 4])
def test_equal_lag_averages_of_an_exponential_are_the_series_of_its_moments(lag: int) -> None:
    """Schaetzel's normalised correlogram: four-point functions summed over distances, to 2%.

    The published closed forms (Schaetzel 1990; Biganzoli & Ferri 2018) sum this series.
    """
    n, a, c, w = 400, 0.7, 0.5, 0.3
    v = lag_average(n, lag)
    operator = SpeckleCovariance(exponential_g1(n, a), c, w, 1.0, present_pairs(n))
    found = sums_over_pairs(v, operator.apply(v))[0] * (n - lag)
    series = 0.0
    for distance in range(-20, 21):
        first, second = (25, 25 + lag), (25 + distance, 25 + distance + lag)
        speckle = BrightSpeckle(exponential_g1(60, a), c, w, 1.0)
        series += speckle.covariance(first, second) - speckle.four_cycle(first, second)
    assert found == pytest.approx(series, rel=0.02)


@pytest.mark.parametrize("absent", [0, 30])
@pytest.mark.parametrize("w", [0.02, 1.0])
def test_systems_are_solved(w: float, absent: int) -> None:
    """Against the dense solution; the tolerance is one of a norm."""
    present = present_pairs(20, absent)
    operator = SpeckleCovariance(irregular_g1(20), 0.5, w, 1.0, present)
    maps, (_, i, j) = random_maps(3, present), units(present)
    # One of them needs no step.
    maps[1] = 0.0
    solved = operator.solve(maps, 1e-8)
    exact = np.linalg.solve(dense(operator), maps[:, i, j].T).T
    np.testing.assert_allclose(solved[:, i, j], exact, rtol=1e-5, atol=1e-6 * np.abs(exact).max())
    assert np.all(solved[:, present == 0.0] == 0.0)


@pytest.mark.parametrize("w", [0.005, 0.1, 2.0])
def test_whole_covariance_is_once_to_thrice_its_main_part(w: float) -> None:
    operator = SpeckleCovariance(irregular_g1(24), 0.5, w, 1.0, present_pairs(24))
    ratio = np.linalg.eigvals(np.linalg.solve(dense(operator, main=True), dense(operator))).real
    assert ratio.min() > 0.99
    assert ratio.max() < 3.0


@pytest.mark.parametrize("absent", [0, 25])
def test_main_part_is_inverted_without_the_absent_pairs(absent: int) -> None:
    """At w/c = 0.02 no eigenvector is left out."""
    present = present_pairs(20, absent)
    operator = SpeckleCovariance(irregular_g1(20), 0.5, 0.01, 1.0, present)
    precision, maps = operator.precision, random_maps(4, present)
    weights = precision.weights(maps)
    np.testing.assert_allclose(operator.apply_main(weights), maps, atol=1e-7)
    plain = 0.5 * np.einsum("kij,lij->kl", maps, maps)
    sketch = precision.sketch(maps @ precision.vectors)
    expected = 0.5 * np.einsum("kij,lij->kl", weights, maps)
    np.testing.assert_allclose(precision.inner(plain, sketch, sketch), expected, rtol=1e-8)
    forward = 0.5 * np.einsum("kij,lij->kl", operator.apply_main(maps), maps)
    np.testing.assert_allclose(precision.main(plain, sketch, sketch), forward, rtol=1e-7)


@pytest.mark.parametrize("w", [0.2, 0.5, 3.0])
def test_weak_eigenvectors_are_not_missed(w: float) -> None:
    """Weights from the strong ones alone, against C^-1: sigma of a lag profile's fit up by 2%."""
    n = 120
    operator = SpeckleCovariance(exponential_g1(n, 0.95), 0.3, w, 1.0, present_pairs(n))
    kept = len(operator.precision.shrink)
    assert kept < 0.8 * n
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    maps = np.stack([lag * operator.f, operator.f, np.ones((n, n))]) * operator.present
    best, used = operator.solve(maps, 1e-4), operator.precision.weights(maps)
    inverse = np.linalg.inv(0.5 * np.einsum("kij,lij->kl", used, maps))
    scatter = inverse @ (0.5 * np.einsum("kij,lij->kl", used, operator.apply(used))) @ inverse.T
    bound = np.linalg.inv(0.5 * np.einsum("kij,lij->kl", best, maps))
    loss = np.sqrt(np.diag(scatter) / np.diag(bound))
    assert np.all(loss > 1.0 - 1e-6)
    assert np.all(loss < 1.02)
    main = inverse @ (0.5 * np.einsum("kij,lij->kl", used, operator.apply_main(used))) @ inverse.T
    assert np.diag(inverse) == pytest.approx(np.diag(main), rel=0.02)


def test_jax_arrays_give_the_same() -> None:
    present = present_pairs(12, 5)
    g1, maps = irregular_g1(12), random_maps(2, present)
    host = SpeckleCovariance(g1, 0.3, 0.4, 2.0, present).apply(maps)
    device = SpeckleCovariance(jnp.asarray(g1), 0.3, 0.4, 2.0, jnp.asarray(present))  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(device.apply(jnp.asarray(maps))), host, rtol=1e-12)  # type: ignore[arg-type]


def test_no_eigenvector_is_kept_where_speckles_do_not_show() -> None:
    precision = pair_precision(exponential_g1(30, 0.5) ** 2, 0.1, 50.0)
    assert precision.vectors.shape == (30, 0)
    maps = random_maps(1, present_pairs(30))
    np.testing.assert_allclose(precision.weights(maps) * 50.1**2, maps, rtol=1e-12)
