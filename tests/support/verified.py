"""From a fit in memory to what the checks of `verify` look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from homodyne_cli.assessments import Run
from homodyne_cli.core.checks.checklist import CheckInputs
from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.state import predicted_edm
from homodyne_cli.core.minimise.x_scale import effective_ratio
from homodyne_cli.core.model.pair_model import fitted_maps
from homodyne_cli.core.objective.build import build_objective, free_parameters_of
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult


def run_of(data: Dataset, problem: FitProblem, result: FitResult) -> Run:
    return Run(
        directory=Path("run"),
        written_by="homodyne",
        mode=result.mode,
        convention=result.convention,
        per_angle_mode=result.per_angle_mode,
        fourier_order=problem.fourier_order,
        dataset=replace(data, sigma=result.sigma),
        values={p.name: p.value for p in result.parameters},
        uncertainties={p.name: p.uncertainty for p in result.parameters},
        initial={p.name: p.initial for p in result.parameters},
        free=tuple(p.name for p in result.parameters if not p.fixed),
        contrast=result.contrast,
        offset=result.offset,
        bounds=problem.bounds,
        x_scale=result.x_scale,
        converged=result.converged,
        message=result.message,
        iterations=result.iterations,
        covariance=result.covariance,
        covariance_names=result.covariance_names,
        n_speckles=result.noise.n_speckles,
    )


def evaluate_run(run: Run, problem: FitProblem) -> CheckInputs:
    """Evaluate a run at its values; contrast and offset are the best ones there."""
    data = run.dataset
    sigma = data.sigma
    assert sigma is not None
    objective = build_objective(data, problem, sigma)
    values: FloatArray = np.array([run.values[n] for n in names_of(run.mode)])
    x = values[list(objective.free)]
    at = objective.derivatives(x)
    run = replace(run, contrast=at.contrast, offset=at.offset)
    scale = np.array([run.x_scale[n] for n in run.free])
    hessian = at.reduced_hessian
    return CheckInputs(
        run=run,
        fitted=fitted_maps(data, values, at.contrast, at.offset, run.convention),
        sigma=sigma,
        chi2=at.chi2,
        degrees_of_freedom=objective.tiles.n_points - len(run.free) - objective.scaling.size,
        edm=predicted_edm(at, x, free_parameters_of(problem, objective)),
        effective_ratio=effective_ratio(np.sqrt(np.diag(hessian)), scale),
    )


def fitted_inputs(data: Dataset, problem: FitProblem) -> CheckInputs:
    return evaluate_run(run_of(data, problem, fit(data, problem)), problem)
