"""The solver layer against SciPy on the full problem, and what a result says."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
from scipy import optimize

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.minimise.coordinates import coordinates_of
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.trust_region import run_trust_region
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.projection import project
from homodyne_cli.core.objective.scaling import scaling_model
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import ConfigError, DerivativeError, FitError
from homodyne_cli.parameters import NAMES, Loss, XScaleMode
from homodyne_cli.problem import (
    Bounds,
    DiagnosticsOptions,
    FitProblem,
    InitialParameters,
    ShearTransforms,
    SolverOptions,
)
from homodyne_cli.results import FitResult
from tests.support.datasets import PUBLISHED, RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns, model_values
from tests.support.problems import NEAR, make_problem

DATA = make_dataset(60, 4, spread=0.05, seed=5)


def pulls(result: FitResult, truth: FloatArray) -> FloatArray:
    sigma = np.array([p.uncertainty for p in result.parameters])
    return np.asarray((result.values - truth[: len(sigma)]) / sigma)


def joint_residual(data: Dataset, sigma: FloatArray, x: FloatArray, n_par: int) -> FloatArray:
    """Residuals of all pairs with parameters, contrasts and offsets side by side."""
    n_phi = data.n_phi
    f = model_values(x[:n_par], data.t, data.phi, data.q, data.gap or 0.0, "he2024")
    contrast, offset = x[n_par : n_par + n_phi], x[n_par + n_phi :]
    model = contrast[:, None, None] * f + offset[:, None, None]
    i, j = np.triu_indices(data.n_frames, 1)
    return np.asarray(((model - data.array) / sigma[:, None, None])[:, i, j].ravel())


@pytest.mark.parametrize("loss", get_args(Loss))
def test_fit_finds_the_minimum_of_the_full_problem(loss: Loss) -> None:
    """SciPy on all rows, with contrast and offset as parameters, from our solution."""
    rng = np.random.default_rng(0)
    c2 = np.array(DATA.c2, dtype=float)
    if loss != "linear":
        wrong = rng.integers(0, c2.size, 200)
        c2.reshape(-1)[wrong] += 1.0
    data = dataclasses.replace(DATA, c2=c2, sigma=np.full(4, 0.06))
    solver = SolverOptions(loss=loss, ftol=1e-13, xtol=1e-13, gtol=1e-13)
    result = fit(data, make_problem(solver=solver))
    assert result.converged

    start = np.concatenate([result.values, result.contrast, result.offset])
    sigma = np.full(4, 0.06)

    def cost(x: FloatArray) -> float:
        z = joint_residual(data, sigma, x, 7) ** 2
        values = {
            "linear": z,
            "soft_l1": 2 * (np.sqrt(1 + z) - 1),
            "huber": np.where(z <= 1, z, 2 * np.sqrt(z) - 1),
            "cauchy": np.log1p(z),
            "arctan": np.arctan(z),
        }
        return float(values[loss].sum())

    assert result.chi2 == pytest.approx(cost(start), rel=1e-9)

    def residual(x: FloatArray) -> FloatArray:
        return joint_residual(data, sigma, x, 7)

    reference = optimize.least_squares(residual, start, x_scale="jac", loss=loss, xtol=1e-13)
    # SciPy's further descent from our minimum must gain nothing that noise would notice.
    assert 2 * reference.cost > result.chi2 - 1e-3


def test_compressed_descent_takes_scipys_own_steps() -> None:
    """Static mode, fixed scaling: the same trust region on all rows, step for step."""
    truth = PUBLISHED[:3]
    data = make_dataset(40, 2, parameters=truth, gap=None, seed=2)
    data = dataclasses.replace(data, sigma=np.full(2, 0.06))
    start = (3e4, -1.0, 3000.0)
    solver = SolverOptions(x_scale="jac", ftol=1e-9, xtol=1e-9, gtol=1e-9)
    problem = make_problem(
        "static",
        start=start,
        per_angle_mode="fixed",
        contrast=(0.3017,),
        offset=(1.106,),
        solver=solver,
    )
    objective = build_objective(data, problem, np.full(2, 0.06))
    moves = coordinates_of(objective.free.names, ShearTransforms(), dict(problem.bounds))
    log = Minimisation(objective, solver, moves)
    run_trust_region(log)
    found = log.state()
    i, j = np.triu_indices(40, 1)

    def residual(p: FloatArray) -> FloatArray:
        f = model_values(p, data.t, data.phi, data.q, 0.0, "he2024")
        return np.asarray(((0.3017 * f + 1.106 - data.array) / 0.06)[:, i, j].ravel())

    def jacobian(p: FloatArray) -> FloatArray:
        columns = autodiff_columns(data, p, "he2024")[:, :3]
        return np.asarray(0.3017 / 0.06 * np.moveaxis(columns, 1, 2).reshape(-1, 3))

    names = ("D0", "alpha", "D_offset")
    box = ([problem.bounds[n].lower for n in names], [problem.bounds[n].upper for n in names])
    reference = optimize.least_squares(
        residual, start, jac=jacobian, bounds=box, x_scale="jac", ftol=1e-9, xtol=1e-9, gtol=1e-9
    )
    assert reference.njev is not None
    assert found.iterations == reference.njev - 1
    assert found.stop == reference.status
    np.testing.assert_allclose(found.x, reference.x, rtol=1e-7)
    assert found.chi2 == pytest.approx(2 * reference.cost, rel=1e-11)


def test_uncertainties_are_those_of_the_joint_inverse_hessian() -> None:
    data = dataclasses.replace(DATA, sigma=np.full(4, 0.06))
    result = fit(data, make_problem())
    columns = autodiff_columns(data, result.values, "he2024")
    n_pairs = columns.shape[-1]
    jacobian = np.zeros((4, n_pairs, 15))
    for a in range(4):
        jacobian[a, :, :7] = result.contrast[a] * columns[a, :7].T
        jacobian[a, :, 7 + a] = columns[a, 7]
        jacobian[a, :, 11 + a] = 1.0
    flat = jacobian.reshape(-1, 15) / 0.06
    inverse = np.linalg.inv(flat.T @ flat)
    np.testing.assert_allclose(result.covariance, inverse[:7, :7], rtol=1e-5, atol=0)
    np.testing.assert_allclose(
        result.contrast_uncertainty, np.sqrt(np.diag(inverse)[7:11]), rtol=1e-6
    )
    np.testing.assert_allclose(result.offset_uncertainty, np.sqrt(np.diag(inverse)[11:]), rtol=1e-6)


@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.31, 1.0), (0.0, 0.29)])
def test_bounded_projection_matches_bounded_least_squares(limits: tuple[float, float]) -> None:
    grams = evaluate(pack(DATA), PassSpec("laminar_flow", "he2024"), PUBLISHED)
    model = scaling_model(
        "individual",
        DATA.rows,
        order=0,
        contrast=np.zeros(4),
        offset=np.zeros(4),
        contrast_bounds=Bounds(*limits),
        offset_bounds=Bounds(0.5, 1.5),
    )
    found = project(grams, model, np.full(4, 0.06))
    columns = autodiff_columns(DATA, PUBLISHED, "he2024")
    for a in range(4):
        design = columns[a, 7:9].T
        answer = optimize.lsq_linear(
            design, columns[a, 9], bounds=([limits[0], 0.5], [limits[1], 1.5]), tol=1e-14
        )
        np.testing.assert_allclose([found.contrast[a], found.offset[a]], answer.x, rtol=1e-6)


def test_shared_scaling_gives_every_angle_the_same() -> None:
    result = fit(DATA, make_problem(per_angle_mode="shared"))
    assert np.ptp(result.contrast) < 1e-12
    assert np.ptp(result.offset) < 1e-12
    individual = fit(DATA, make_problem())
    assert result.chi2 > individual.chi2


def test_fourier_scaling_of_full_order_is_individual_scaling() -> None:
    data = make_dataset(40, 3, spread=0.05, seed=9)
    fourier = fit(data, make_problem(per_angle_mode="fourier", fourier_order=1))
    individual = fit(data, make_problem())
    np.testing.assert_allclose(fourier.contrast, individual.contrast, rtol=1e-6)
    assert fourier.chi2 == pytest.approx(individual.chi2, rel=1e-9)


def test_fixed_scaling_is_held_and_needs_values() -> None:
    problem = make_problem(per_angle_mode="fixed", contrast=(0.3,), offset=(1.1,))
    result = fit(DATA, problem)
    assert np.all(result.contrast == 0.3)
    assert np.all(result.contrast_uncertainty == 0.0)
    with pytest.raises(ConfigError, match="per_angle_scaling"):
        fit(DATA, make_problem(per_angle_mode="fixed"))
    with pytest.raises(ConfigError, match="per_angle_scaling"):
        fit(DATA, make_problem(per_angle_mode="fixed", contrast=(0.3,)))
    with pytest.raises(ConfigError, match="3 values for 4 angles"):
        fit(DATA, make_problem(per_angle_mode="fixed", contrast=(1, 1, 1), offset=(1,)))


def test_fixed_and_inactive_parameters_stay() -> None:
    problem = make_problem(fixed={"beta": -0.2}, active=("D0", "alpha", "beta", "phi0"))
    result = fit(DATA, problem)
    by_name = {p.name: p for p in result.parameters}
    assert by_name["beta"].value == -0.2
    assert by_name["beta"].fixed
    assert by_name["gamma_dot_t0"].value == NEAR[3]
    assert by_name["D0"].value != NEAR[0]
    assert result.covariance_names == ("D0", "alpha", "phi0")
    with pytest.raises(FitError, match="nothing to fit"):
        fit(DATA, make_problem(active=()))


def test_parameter_at_bound_is_flagged_and_held_in_the_covariance() -> None:
    data = make_dataset(60, 4, seed=1, parameters=RESOLVED, noise=0.01)
    start = (5000.0, -0.8, 300.0, 0.7e-3, -0.1, 0.0, 0.0)
    result = fit(data, make_problem(start=start, bounds={"alpha": Bounds(-2.0, -0.6)}))
    alpha = result.parameters[1]
    assert alpha.at_bound
    assert np.isnan(alpha.uncertainty)
    assert "alpha" not in result.covariance_names
    assert np.isfinite(result.parameters[0].uncertainty)


def test_an_active_bound_hides_no_uncertainty() -> None:
    """With D_offset held at 0 D0 looks ten times better known: both figures are given.

    Over noise, the wider one has to cover the truth.
    """
    truth = np.array([15000.0, -0.3, 500.0])
    pulls, held = [], 0
    for seed in range(12):
        data = make_dataset(60, 3, seed=seed, parameters=truth, noise=0.02, gap=None)
        problem = make_problem("static", start=None, bounds={"D_offset": Bounds(0.0, 1e5)})
        result = fit(data, problem)
        d0, offset = result.parameters[0], result.parameters[2]
        if not offset.at_bound:
            assert np.isnan(d0.uncertainty_unbounded)
            continue
        held += 1
        assert d0.uncertainty_unbounded > 3.0 * d0.uncertainty
        pulls.append((d0.value - truth[0]) / d0.uncertainty_unbounded)
    assert held >= 2
    assert np.abs(pulls).max() < 3.0


def test_wide_bounds_change_nothing() -> None:
    """A bound acts where the fit runs into it, however far away the other one is."""
    data = make_dataset(60, 4, seed=1, parameters=RESOLVED, noise=0.01)
    usual = fit(data, make_problem(start=None))
    wide = fit(data, make_problem(start=None, bounds={"D0": Bounds(1.0, 1e11)}))
    assert not any(p.at_bound for p in wide.parameters)
    for one, other in zip(usual.parameters, wide.parameters, strict=True):
        # Both minimisations end within a trace of the uncertainty (EDM_CONVERGED at the least).
        assert other.value == pytest.approx(one.value, abs=1e-3 * one.uncertainty)
        assert other.uncertainty == pytest.approx(one.uncertainty, rel=1e-3)


def test_angle_blind_to_shear_leaves_shear_undetermined() -> None:
    data = make_dataset(40, 1, phi=np.array([92.0]))
    problem = make_problem(fixed={"phi0": 2.0})
    result = fit(data, problem)
    assert len(result.undetermined) >= 1
    for p in result.parameters[3:6]:
        assert np.isnan(p.uncertainty)
        # Rounding in derivatives that are zero must not send them to their bounds.
        assert p.unmoved
    assert result.converged
    assert np.isfinite(result.parameters[0].uncertainty)


def test_unmoved_parameter_is_flagged() -> None:
    flat = dataclasses.replace(make_dataset(40, 1), gap=0.0)
    result = fit(flat, make_problem())
    assert result.parameters[4].unmoved
    assert not result.parameters[0].unmoved


def test_max_iterations_is_obeyed_and_said() -> None:
    result = fit(DATA, make_problem(solver=SolverOptions(max_iterations=2)))
    assert result.iterations == 2
    assert not result.converged
    assert "max_iterations" in result.message


def test_trust_region_scale_sets_the_first_step() -> None:
    # A descent that may take one step: its length in scaled units is at most the radius.
    steps = []
    for scale in (1e-4, 1e-3):
        solver = SolverOptions(max_iterations=1, trust_region_scale=scale)
        steps.append(fit(DATA, make_problem(solver=solver)).history[1].step_norm)
    assert steps[1] == pytest.approx(10 * steps[0], rel=0.05)


def test_all_scales_and_transforms_reach_the_same_minimum() -> None:
    reference = fit(DATA, make_problem())
    options = [
        SolverOptions(x_scale="unit"),
        SolverOptions(x_scale="jac"),
        SolverOptions(x_scale="config", x_scale_map={"D0": 1e3, "gamma_dot_t0": 1e-5}),
        SolverOptions(trust_region_scale=0.1),
        SolverOptions(shear_transforms=ShearTransforms(True, 2e-3, -0.2)),
    ]
    for solver in options:
        result = fit(DATA, make_problem(solver=solver))
        assert result.chi2 == pytest.approx(reference.chi2, abs=1e-3), solver


def test_condition_numbers_say_what_the_scale_did() -> None:
    """Raw: of the Jacobian in physical units; scaled: with its columns times the map."""
    objective = build_objective(DATA, make_problem(), dataset_sigma(DATA))
    hessian = objective.derivatives(np.array(NEAR)).reduced_hessian
    norms = np.sqrt(np.diag(hessian))
    good = dict(zip(NAMES, (1.0 / norms).tolist(), strict=True))
    bad = dict(zip(NAMES, (norms / norms.max()).tolist(), strict=True))
    unit = hessian / np.outer(norms, norms)
    best = float(np.sqrt(np.linalg.cond(unit)))
    found = {}
    for name, table in (("good", good), ("bad", bad)):
        solver = SolverOptions(x_scale="config", x_scale_map=table, max_iterations=2)
        result = fit(DATA, make_problem(solver=solver))
        assert set(result.conditioning) == {"start", "end"}
        assert result.x_scale == table
        found[name] = result.conditioning["start"]
    assert found["good"].scaled == pytest.approx(best, rel=1e-6)
    assert found["good"].raw == pytest.approx(found["bad"].raw)
    assert found["bad"].scaled > found["bad"].raw > found["good"].scaled
    modes: tuple[XScaleMode, ...] = ("auto", "jac")
    for mode in modes:
        solver = SolverOptions(x_scale=mode, max_iterations=2)
        start = fit(DATA, make_problem(solver=solver)).conditioning["start"]
        assert start.scaled == pytest.approx(best, rel=1e-6)
    plain = fit(DATA, make_problem(solver=SolverOptions(x_scale="unit", max_iterations=2)))
    assert plain.conditioning["start"].scaled == pytest.approx(plain.conditioning["start"].raw)


def test_config_scale_without_a_map_is_refused() -> None:
    with pytest.raises(ConfigError, match="x_scale_map is empty"):
        fit(DATA, make_problem(solver=SolverOptions(x_scale="config")))


def test_gradient_check_passes_and_catches_a_wrong_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = SolverOptions(diagnostics=DiagnosticsOptions(enabled=True, sample_size=500))
    assert fit(DATA, make_problem(solver=options)).converged

    from homodyne_cli.core.gram_pass import field_sums as residual

    honest = residual._column_scale

    def wrong(*args: object) -> FloatArray:
        scale = honest(*args)  # type: ignore[arg-type]
        if scale.shape[1] > 3:
            scale[:, 4] *= 1.01
        return scale

    monkeypatch.setattr(residual, "_column_scale", wrong)
    with pytest.raises(DerivativeError, match="beta"):
        fit(DATA, make_problem(solver=options))


def test_norms_are_logged_only_when_asked() -> None:
    assert fit(DATA, make_problem()).history[0].column_norms == {}
    logged = DiagnosticsOptions(log_jacobian_norms=True)
    options = SolverOptions(diagnostics=logged)
    assert fit(DATA, make_problem(solver=options)).history[0].column_norms == {}
    options = SolverOptions(diagnostics=dataclasses.replace(logged, enabled=True))
    history = fit(DATA, make_problem(solver=options)).history
    assert all(set(h.column_norms) == {p for p in history[0].column_norms} for h in history)
    assert len(history[0].column_norms) == 7


def test_fit_without_start_values_finds_the_same_minimum() -> None:
    reference = fit(DATA, make_problem())
    result = fit(DATA, make_problem(start=None))
    assert result.chi2 == pytest.approx(reference.chi2, abs=1e-3)
    again = fit(DATA, make_problem(start=None))
    assert np.array_equal(result.values, again.values)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(FitError, match="cannot determine"):
        fit(make_dataset(4, 1), make_problem())


def test_a_corner_of_the_bounds_is_no_minimum() -> None:
    data = make_dataset(40, 1, parameters=RESOLVED[:3], gap=None, noise=0.02)
    problem = FitProblem(
        "static",
        initial=InitialParameters(fixed={"alpha": 0.0, "D_offset": 0.0}),
        bounds={**FitProblem("static").bounds, "D0": Bounds(1.0, 100.0)},
    )
    result = fit(data, problem)
    assert not result.converged
    assert "every free parameter is at a bound" in result.message
