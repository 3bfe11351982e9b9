"""Degenerate data: no error, no false figure, and the combination that is determined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.coordinates import coordinates_of
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.trust_region import run_trust_region
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.uncertainty.symmetries import canonical, equivalents
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES
from homodyne_cli.problem import Bounds, ShearTransforms, SolverOptions
from homodyne_cli.results import Combination, FitResult
from tests.support.arrows import dense
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

#: Nothing but the shape of the power law tells amplitude and offset apart, and it is flat.
NO_ALPHA = np.array([8000.0, 0.0, 600.0, *RESOLVED[3:]])
NO_BETA = np.array([*RESOLVED[:3], 1e-3, 0.0, 1e-4, 2.0])
WIDE = {"phi0": Bounds(-200.0, 200.0), "gamma_dot_t0": Bounds(-0.5, 0.5)}


def data(truth: FloatArray, seed: int = 1, phi: FloatArray | None = None) -> Dataset:
    return make_dataset(100, 5, parameters=truth, noise=0.01, seed=seed, phi=phi)


def rate(result: FitResult, names: tuple[str, ...]) -> Combination:
    """Return the best-known combination, which must be one of these parameters."""
    best = result.combinations[0]
    assert set(names) <= set(best.names)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_amplitude_and_offset_with_exponent_held_at_zero(seed: int) -> None:
    problem = make_problem(start=tuple(NO_ALPHA), fixed={"alpha": 0.0})
    result = fit(data(NO_ALPHA, seed), problem)
    assert result.converged
    (found,) = result.combinations
    assert found.names == ("D0", "D_offset")
    np.testing.assert_allclose(found.coefficients, [1.0, 1.0], rtol=1e-9)
    assert found.unit == "Å²/s"
    assert abs(found.value - 8600.0) < 4.0 * found.uncertainty
    assert 10.0 < found.uncertainty < 200.0
    assert np.isnan(result.parameters[0].uncertainty)
    assert any("D0" in said and "trade off" in said for said in result.undetermined)


def test_the_uncertainty_of_the_combination_is_that_of_one_constant() -> None:
    """With D0 held, D_offset alone carries the same information."""
    both = fit(data(NO_ALPHA), make_problem(start=tuple(NO_ALPHA), fixed={"alpha": 0.0}))
    held = {"alpha": 0.0, "D0": 8000.0}
    alone = fit(data(NO_ALPHA), make_problem(start=tuple(NO_ALPHA), fixed=held))
    assert alone.combinations == ()
    offset = alone.parameters[2]
    assert both.combinations[0].value == pytest.approx(8000.0 + offset.value, rel=1e-6)
    assert both.combinations[0].uncertainty == pytest.approx(offset.uncertainty, rel=1e-3)


@pytest.mark.parametrize(
    "start", [None, (7000.0, 0.05, 1000.0, *RESOLVED[3:])], ids=["search", "given"]
)
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_alpha_free_and_truly_zero(mode: str, start: tuple[float, ...] | None) -> None:
    truth = NO_ALPHA if mode == "laminar_flow" else NO_ALPHA[:3]
    result = fit(data(truth), make_problem(mode, start=start))  # type: ignore[arg-type]
    assert result.converged
    if mode == "static" and start is None:
        # A little below the valley lies a minimum with a power law that is over after a second.
        power, offset = result.parameters[0], result.parameters[2]
        assert power.value < power.uncertainty
        assert abs(offset.value - 8600.0) < 4.0 * offset.uncertainty
        return
    best = rate(result, ("D0", "D_offset"))
    assert best.unit == "Å²/s"
    # Where in the valley the fit stands, and with it the parts, is an accident of the path.
    assert abs(best.value - 8600.0) < 4.0 * best.uncertainty
    assert best.uncertainty < 0.02 * 8600.0


@pytest.mark.parametrize("fixed", [{"beta": 0.0}, {}], ids=["beta held", "beta free"])
def test_shear_rate_and_its_offset(fixed: dict[str, float]) -> None:
    result = fit(data(NO_BETA), make_problem(start=tuple(NO_BETA), fixed=fixed))
    assert result.converged
    best = rate(result, ("gamma_dot_t0", "gamma_dot_t_offset"))
    assert abs(best.value - 1.1e-3) < 4.0 * best.uncertainty
    assert best.uncertainty < 0.01 * 1.1e-3
    assert best.unit == "1/s"


def test_a_bound_that_stops_the_fit_in_the_valley_does_not_hide_it() -> None:
    """D_offset at its bound makes D0 look known; the sum is what is."""
    bounds = {"D_offset": Bounds(2000.0, 1e5)}
    start = (6000.0, 0.0, 2000.0, *RESOLVED[3:])
    problem = make_problem(start=start, fixed={"alpha": 0.0}, bounds=bounds)
    result = fit(data(NO_ALPHA), problem)
    best = rate(result, ("D0", "D_offset"))
    assert abs(best.value - 8600.0) < 4.0 * best.uncertainty


def test_a_single_angle_knows_rate_and_direction_only_together() -> None:
    result = fit(data(RESOLVED, phi=np.array([20.0])), make_problem(start=tuple(RESOLVED)))
    best = rate(result, ("gamma_dot_t0", "phi0"))
    # d ln cos(phi0 - phi)/d phi0 = tan(phi - phi0): rate and cosine trade off at this slope.
    values = dict(zip(NAMES, result.values, strict=True))
    slope = np.tan(np.deg2rad(20.0 - values["phi0"])) * np.pi / 180.0
    total = values["gamma_dot_t0"]
    coefficients = dict(zip(best.names, best.coefficients, strict=True))
    ratio = coefficients["phi0"] / coefficients["gamma_dot_t0"]
    # The offset, which would have to follow the amplitude, is loosely known and held by neither.
    assert ratio == pytest.approx(total * slope, rel=0.2)


def test_an_angle_normal_to_the_flow_cannot_see_shear_and_says_so() -> None:
    blind = data(RESOLVED, phi=np.array([92.0]))
    result = fit(blind, make_problem(start=tuple(RESOLVED), fixed={"phi0": 2.0}))
    assert result.converged
    assert any("cannot see it" in said for said in result.undetermined)
    assert not any(c.names[0].startswith("gamma") for c in result.combinations)
    assert np.isfinite(result.parameters[0].uncertainty)


def test_determined_data_have_no_combinations_and_no_equivalents() -> None:
    result = fit(data(RESOLVED), make_problem(start=tuple(RESOLVED)))
    assert result.combinations == ()
    assert result.equivalents == ()


@pytest.mark.parametrize("turn", [(0.0, 1.0), (180.0, 1.0), (-180.0, -1.0), (0.0, -1.0)], ids=str)
def test_every_equivalent_start_leads_to_the_same_answer(turn: tuple[float, float]) -> None:
    angle, sign = turn
    start = RESOLVED.copy()
    start[6] += angle
    start[[3, 5]] *= sign
    seen = data(RESOLVED)
    result = fit(seen, make_problem(start=tuple(start), bounds=WIDE))
    plain = fit(seen, make_problem(start=tuple(RESOLVED)))
    errors = np.array([p.uncertainty for p in plain.parameters])
    assert np.all(np.abs(result.values - plain.values) < 1e-3 * errors)
    np.testing.assert_allclose(result.covariance, plain.covariance, rtol=1e-3)
    assert len(result.equivalents) == 3


@pytest.mark.parametrize("phi", [[0.0, 90.0], [20.0], [0.0, 40.0, 80.0, 130.0]], ids=str)
def test_equivalents_describe_the_data_equally_well_and_lie_inside_the_bounds(
    phi: list[float],
) -> None:
    seen = data(RESOLVED, phi=np.array(phi))
    problem = make_problem(start=tuple(RESOLVED), bounds=WIDE)
    objective = build_objective(seen, problem, dataset_sigma(seen))
    free = objective.free
    chi2 = objective.cost(RESOLVED)
    found = equivalents(RESOLVED, free, seen, "he2024")
    mirrored = len({round(v % 90.0, 3) for v in phi}) == 1
    assert len(found) >= (5 if mirrored else 3)
    for changed in found:
        other = RESOLVED.copy()
        for name, value in changed.items():
            other[NAMES.index(name)] = value
        assert objective.cost(other) == pytest.approx(chi2, rel=1e-9)
        assert np.all((other >= free.lower) & (other <= free.upper))


def test_what_is_at_a_bound_has_its_equivalents_as_well() -> None:
    """Bounds are inside: of another parameter, and of the shear rate at the end it turns to."""
    seen = data(RESOLVED)
    at = {"D0": RESOLVED[0], "alpha": RESOLVED[1]}
    bounds = {
        **WIDE, "D0": Bounds(1.0, at["D0"]), "alpha": Bounds(at["alpha"], 2.0),
        "gamma_dot_t0": Bounds(-RESOLVED[3], RESOLVED[3]),
    }  # fmt: skip
    problem = make_problem(start=tuple(RESOLVED), bounds=bounds)
    free = build_objective(seen, problem, dataset_sigma(seen)).free
    turned = {"gamma_dot_t0": -RESOLVED[3], "gamma_dot_t_offset": -RESOLVED[5]}
    assert turned in equivalents(RESOLVED, free, seen, "he2024")


def test_floored_rates_have_no_other_sign() -> None:
    seen = data(RESOLVED)
    problem = make_problem(start=tuple(RESOLVED), bounds=WIDE)
    free = build_objective(seen, problem, dataset_sigma(seen)).free
    assert all("phi0" in e for e in equivalents(RESOLVED, free, seen, "homodyne-2"))


def test_derivatives_turn_round_with_the_sign_of_the_rate() -> None:
    seen = data(RESOLVED)
    start = RESOLVED.copy()
    start[[3, 5]] *= -1.0
    problem = make_problem(start=tuple(start), bounds=WIDE)
    objective = build_objective(seen, problem, dataset_sigma(seen))
    moves = coordinates_of(NAMES, ShearTransforms(), dict(problem.bounds))
    log = Minimisation(objective, SolverOptions(max_iterations=2), moves)
    run_trust_region(log)
    found = log.state()
    turned = canonical(found, objective, seen, "he2024")
    again = objective.derivatives(turned.x)
    assert turned.x[3] > 0.0
    turned_round, anew = dense(turned.at.hessian), dense(again.hessian)
    np.testing.assert_allclose(turned_round, anew, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(turned.at.gradient, again.gradient, rtol=1e-6, atol=1e-6)
    assert replace(turned, x=found.x, at=found.at) == found
