"""Speckle noise: scores against the slow obvious sum, moments against drawing, M against truth."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.particles import FREE, THREE_ANGLES, particle_dataset, particle_problem
from homodyne_cli.core.fit import fit
from homodyne_cli.core.setup import build_objective, dataset_sigma
from homodyne_cli.core.speckle_fields import (
    angle_fields,
    draw_intensities,
    model_curves,
    speckle_scores,
)
from homodyne_cli.models import SolverOptions
from homodyne_cli.parameters import AnalysisMode, Convention
from tests.oracle import PUBLISHED, autodiff_columns, make_dataset
from tests.problems import make_problem

CONTRAST = 0.3


@pytest.mark.parametrize(
    ("mode", "convention"),
    [("laminar_flow", "he2024"), ("laminar_flow", "homodyne-2"), ("static", "he2024")],
)
def test_scores_are_the_sums_over_pairs_of_column_times_psi(
    mode: AnalysisMode, convention: Convention
) -> None:
    """Columns from autodiff of the plain model, psi pair by pair; float32 products inside."""
    p = 7 if mode == "laminar_flow" else 3
    values = PUBLISHED[:p]
    data = make_dataset(30, 2, parameters=values, convention=convention, seed=4)
    objective = build_objective(data, make_problem(mode, convention), dataset_sigma(data))
    curves = model_curves(data, objective, values, np.arange(30))
    fields = angle_fields(data, objective, values, curves, 1)
    rng = np.random.default_rng(0)
    x = draw_intensities(fields.g1, 5, rng)
    weight = np.triu(rng.random((30, 30)), 1)
    found = speckle_scores(fields, curves, weight, x, CONTRAST, data.q)

    i, j = np.triu_indices(30, 1)
    f = fields.f[i, j]
    # (n_phi, columns, pairs): parameters, then f, 1 and y.
    columns = autodiff_columns(data, values, convention)[1]
    b = np.sqrt(CONTRAST) * f
    psi = x[i] * x[j] - b[:, None] * (x[i] + x[j])
    jacobian = [*(CONTRAST * columns[:p]), f, np.ones_like(f)]
    slow = np.array([(weight[i, j] * c) @ psi for c in jacobian]).T
    scale = np.abs(slow).max(axis=0)
    np.testing.assert_allclose(found / scale, slow / scale, atol=2e-4)


def test_drawn_intensities_have_the_moments_the_noise_is_built_on() -> None:
    """Var(x_i x_j - b (x_i + x_j)) of two frames, f = 0.49, contrast 0.3: to 2%, 400,000 draws."""
    g1 = np.array([[1.0, -0.7], [-0.7, 1.0]])
    x = draw_intensities(g1, 400_000, np.random.default_rng(1))
    f, b = 0.49, np.sqrt(0.3) * 0.49
    psi = x[0] * x[1] - b * (x[0] + x[1])
    formula = 1 + 4 * f + 3 * f**2 - 8 * b * f + 2 * b**2 * (1 + f)
    assert psi.mean() == pytest.approx(f, abs=0.02)
    assert psi.var() == pytest.approx(formula, rel=0.02)


@pytest.mark.parametrize(("frames", "angles", "seed"), [(60, 4, 5), (120, 3, 6), (200, 5, 7)])
def test_white_noise_leaves_the_inverse_hessian_as_it_is(
    frames: int, angles: int, seed: int
) -> None:
    data = make_dataset(frames, angles, seed=seed)
    result = fit(data, make_problem(start=tuple(PUBLISHED)))
    assert result.noise.white_share == 1.0
    assert np.isinf(result.noise.n_speckles)
    for p in result.parameters:
        assert p.uncertainty == p.uncertainty_hessian


def test_particle_data_give_their_number_of_speckles_and_wide_uncertainties() -> None:
    """Of one realisation M is known to 13% (docs/uncertainties.md)."""
    data = particle_dataset(THREE_ANGLES, seed=1)
    solver = SolverOptions(global_search=False)
    result = fit(data, particle_problem(THREE_ANGLES, solver=solver))
    assert 350.0 < result.noise.n_speckles < 1000.0
    assert result.noise.white_share < 0.2
    factors = [p.uncertainty / p.uncertainty_hessian for p in result.parameters if p.name in FREE]
    assert min(factors) > 5.0
