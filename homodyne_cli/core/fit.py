"""The fit: Dataset and FitProblem in, FitResult out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from homodyne_cli.core.minimise.coordinates import fit_coordinates
from homodyne_cli.core.minimise.flow_axis import search_flow_axis
from homodyne_cli.core.minimise.gradient_check import check_on_sample
from homodyne_cli.core.minimise.minimisation import Minimisation, OnIteration
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.noisy_minimum import interrupted_fit, minimise_with_noise
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.core.objective.build import (
    bounded_parameters,
    build_objective,
    dataset_sigma,
)
from homodyne_cli.core.objective.default_bounds import with_default_bounds
from homodyne_cli.core.objective.refusals import refuse_doubtful, refuse_undetermined
from homodyne_cli.core.uncertainty.summary import summarise
from homodyne_cli.core.uncertainty.symmetries import canonical
from homodyne_cli.dataset import Dataset
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult, OnPhase, unfollowed


@serial_algebra()
def fit(
    dataset: Dataset,
    problem: FitProblem,
    notify: OnIteration | None = None,
    on_phase: OnPhase = unfollowed,
) -> FitResult:
    """Fit the model to a dataset.

    Parameters
    ----------
    dataset
        Maps of one ring.
    problem
        Model, bounds, start and solver options. Unless ``global_search`` is off, a search on
        decimated pairs finds where to begin; start values are one of its starts.
    notify
        Called with the start and after every accepted step. If it raises `FitInterruptedError`,
        the fit ends there, and its result says so.
    on_phase
        Told what the fit is doing where it takes no steps.

    Raises
    ------
    FitError
        If there is nothing to fit: no free parameter, fewer pairs than unknowns, or data in which
        `core.inputs` finds an error.
    ConfigError
        If options contradict each other or the data.
    DerivativeError
        If ``diagnostics.check_gradients`` finds the gradient wrong.
    """
    refuse_doubtful(dataset, problem)
    problem = with_default_bounds(dataset, problem)
    objective = build_objective(dataset, problem, dataset_sigma(dataset))
    refuse_undetermined(objective)
    lead = None
    if problem.solver.global_search:
        lead, problem = search_flow_axis(dataset, problem, objective, on_phase)
        objective = replace(objective, free=bounded_parameters(problem))
    free, options = objective.free, problem.solver
    coordinates = fit_coordinates(problem, free, dataset.t)
    start = free.start if lead is None else lead.x
    check_on_sample(dataset, problem, objective, start, "at the start")

    log = Minimisation(objective, options, coordinates, start, notify)
    with log.until_interrupted():
        if lead is None:
            minimise(log, near=False, to_the_end=False)
    log.relocate(canonical(log.state(), objective, dataset, problem.convention))
    noisy = None
    with log.until_interrupted():
        if not log.interrupted:
            on_phase("noise", 0, 0)
            on_covariance = partial(on_phase, "weights")
            noisy = minimise_with_noise(dataset, problem, objective, log, on_covariance)
    if noisy is None:
        noisy = interrupted_fit(dataset, objective, log)
    check_on_sample(dataset, problem, objective, log.x, "at the end")
    return summarise(dataset, problem, noisy, lead)
