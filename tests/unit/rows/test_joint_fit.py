"""One fit of several rings and repeats: each map has its q, and nothing depends on their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.gram_pass.host_pass import evaluate_on_host, host_pairs
from homodyne_cli.core.gram_pass.passes import evaluate_many
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.simulation import Experiment, Noise, simulate_rings
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.parameters import NAMES, Convention, PerAngleMode
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult
from tests.support.oracle import autodiff_columns
from tests.support.problems import make_problem
from tests.support.rows import TRUTH, as_repeats, chosen, two_rings

DATA = two_rings()
SIGMA = 0.01
NEAR = tuple(TRUTH * np.array([1.2, 0.9, 1.1, 0.9, 1.1, 1.0, 1.2]))
INNER, OUTER = (chosen(DATA, np.flatnonzero(DATA.q == q)) for q in DATA.rows.rings)


def known(dataset: Dataset) -> Dataset:
    return replace(dataset, sigma=np.full(dataset.n_phi, SIGMA))


def problem_of(mode: PerAngleMode = "individual") -> FitProblem:
    return replace(make_problem(start=NEAR, per_angle_mode=mode), weights="equal")


def fitted(dataset: Dataset, problem: FitProblem | None = None) -> FitResult:
    result = fit(known(dataset), problem or problem_of())
    assert result.converged
    return result


def objective_of(dataset: Dataset, problem: FitProblem | None = None) -> PairObjective:
    return build_objective(dataset, problem or problem_of(), np.full(dataset.n_phi, SIGMA))


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
@pytest.mark.parametrize("mode", ["laminar_flow", "static"])
def test_gram_matrices_of_mixed_rings_are_those_of_automatic_derivatives(
    convention: Convention, mode: str
) -> None:
    spec = PassSpec("static" if mode == "static" else "laminar_flow", convention)
    values = TRUTH[:3] if mode == "static" else TRUTH
    mixed = chosen(DATA, np.array([0, 5, 1, 7, 2, 4, 3, 6]))
    grams = evaluate(pack(mixed), spec, values)
    columns = autodiff_columns(mixed, values, convention)
    columns[:, -1] -= grams.shift[:, None]
    expected = columns @ columns.swapaxes(1, 2)
    scale = np.sqrt(np.einsum("aii->ai", expected))
    size = scale[:, :, None] * scale[:, None, :]
    np.testing.assert_allclose(grams.gram / size, expected / size, atol=1e-9)
    pairs = host_pairs(mixed)
    on_host = evaluate_on_host(pairs, spec, values)
    columns[:, -1] += (grams.shift - on_host.shift)[:, None]
    expected = columns @ columns.swapaxes(1, 2)
    np.testing.assert_allclose(on_host.gram / size, expected / size, atol=1e-9)
    screened = evaluate_many(pairs, spec, np.stack([values, 1.01 * values]))
    np.testing.assert_allclose(screened.gram[0], on_host.gram[:, -3:, -3:], rtol=1e-10)


def test_gradient_of_mixed_rings_is_that_of_finite_differences() -> None:
    objective = objective_of(DATA)
    x = objective.free_values
    gradient = objective.derivatives(x).gradient
    for k, step in enumerate(1e-5 * np.maximum(np.abs(x), 1e-4)):
        moved = [x + sign * step * (np.arange(len(x)) == k) for sign in (1.0, -1.0)]
        # Half of the derivative of chi2; the error of a central difference is of second order.
        slope = (objective.cost(moved[0]) - objective.cost(moved[1])) / (4.0 * step)
        assert gradient[k] == pytest.approx(slope, rel=2e-5), NAMES[k]


def test_information_of_two_rings_is_the_sum_of_theirs() -> None:
    """Contrast and offset are each map's own: what is left of the rings adds up."""
    joint, inner, outer = (
        objective_of(d).derivatives(TRUTH).reduced_hessian for d in (DATA, INNER, OUTER)
    )
    scale = np.sqrt(np.outer(np.diag(joint), np.diag(joint)))
    np.testing.assert_allclose((inner + outer) / scale, joint / scale, atol=1e-10)


def test_two_rings_together_find_the_truth_within_their_joint_information() -> None:
    # Offsets make valleys that are curved over a sigma, where no covariance holds.
    held = {"D_offset": TRUTH[2], "gamma_dot_t_offset": TRUTH[5]}
    problem = replace(make_problem(start=NEAR, fixed=held), weights="equal")
    result = fitted(DATA, problem)
    free = [NAMES.index(name) for name in result.covariance_names]
    uncertainty = np.sqrt(np.diag(result.covariance))
    # Five pulls of a standard normal deviate beyond 4: one in three thousand.
    assert np.abs((result.values - TRUTH)[free] / uncertainty).max() < 4.0
    precision = sum(np.linalg.inv(fitted(one, problem).covariance) for one in (INNER, OUTER))
    expected = np.sqrt(np.diag(np.linalg.inv(precision)))
    # The information is taken at three minima, up to three sigmas of one ring apart.
    np.testing.assert_allclose(uncertainty, expected, rtol=0.1)


def test_one_measurement_twice_is_itself_with_twice_the_information() -> None:
    once, twice = fitted(INNER), fitted(as_repeats([INNER, INNER]))
    np.testing.assert_allclose(twice.values, once.values, rtol=1e-6)
    assert twice.chi2 == pytest.approx(2.0 * once.chi2, rel=1e-9)
    np.testing.assert_allclose(twice.covariance, 0.5 * once.covariance, rtol=1e-4)
    np.testing.assert_allclose(twice.contrast, np.tile(once.contrast, 2), rtol=1e-6)


@pytest.mark.parametrize("mode", ["individual", "shared", "fourier"])
def test_the_order_of_maps_does_not_matter(mode: PerAngleMode) -> None:
    order = np.random.default_rng(3).permutation(DATA.n_phi)
    plain, mixed = fitted(DATA, problem_of(mode)), fitted(chosen(DATA, order), problem_of(mode))
    np.testing.assert_allclose(mixed.values, plain.values, rtol=1e-6)
    assert mixed.chi2 == pytest.approx(plain.chi2, rel=1e-9)
    np.testing.assert_allclose(mixed.contrast, plain.contrast[order], rtol=1e-6)
    np.testing.assert_allclose(
        mixed.contrast_uncertainty, plain.contrast_uncertainty[order], rtol=1e-4
    )


def test_shared_scaling_is_that_of_a_ring() -> None:
    result = fitted(DATA, problem_of("shared"))
    inner, outer = (result.contrast[DATA.q == q] for q in DATA.rows.rings)
    assert np.ptp(inner) == np.ptp(outer) == 0.0
    assert inner[0] == pytest.approx(0.3, rel=0.02)
    assert outer[0] == pytest.approx(0.25, rel=0.02)


def test_repeats_that_share_their_scaling_are_worth_their_mean() -> None:
    """One model for both maps of an angle: the best is that of their mean, noise over sqrt(2)."""
    repeats = [chosen(two_rings(seed=s), np.flatnonzero(DATA.q == DATA.q[0])) for s in (1, 2)]
    mean = replace(repeats[0], c2=0.5 * (repeats[0].array + repeats[1].array))
    together = fitted(as_repeats(repeats), replace(problem_of(), per_repeat_mode="shared"))
    halved = replace(mean, sigma=np.full(mean.n_phi, SIGMA / np.sqrt(2.0)))
    averaged = fit(halved, problem_of())
    np.testing.assert_allclose(together.values, averaged.values, rtol=1e-6)
    np.testing.assert_allclose(together.covariance, averaged.covariance, rtol=1e-4)
    np.testing.assert_allclose(together.contrast, np.tile(averaged.contrast, 2), rtol=1e-6)
    assert together.degrees_of_freedom - averaged.degrees_of_freedom == averaged.n_points


def test_maps_of_several_rings_stream_from_disk() -> None:
    values = DATA.array
    with open_spool(None, values.shape, values.dtype) as spool:
        for one in values:
            spool.put(one)
        streamed = objective_of(replace(DATA, c2=spool.maps())).derivatives(TRUTH)
    held = objective_of(DATA).derivatives(TRUTH)
    assert streamed.chi2 == pytest.approx(held.chi2, rel=1e-12)
    np.testing.assert_allclose(streamed.gradient, held.gradient, rtol=1e-9)


def test_a_search_among_many_maps_ends_where_a_descent_from_the_truth_does() -> None:
    """Forty of 72 maps are searched; the descent is on all of them."""
    phi = np.linspace(-90.0, 250.0, 36)
    rings = [Experiment(TRUTH, phi, 40, q, 2e6, 0.1) for q in DATA.rows.rings]
    data = known(simulate_rings(rings, Noise(SIGMA), 5))
    held = {"D_offset": TRUTH[2], "gamma_dot_t_offset": TRUTH[5]}
    alone = replace(make_problem(start=tuple(TRUTH), fixed=held), weights="equal")
    searched = replace(make_problem(start=None, fixed=held), weights="equal")
    one, other = fit(data, alone), fit(data, searched)
    assert other.search is not None
    assert other.search.n_points == 40 * one.n_points // data.n_phi
    assert other.chi2 == pytest.approx(one.chi2, abs=0.01)
    np.testing.assert_allclose(other.values, one.values, rtol=1e-4)
