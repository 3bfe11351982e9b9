"""From a dataset and a problem to the reduced problem that a descent works on."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import PairWeight, PassSpec
from homodyne_cli.core.gram_pass.passes import pack_pairs
from homodyne_cli.core.maps.pair_noise import estimate_sigma, rms_sigma
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.scaling import scaling_groups, scaling_model
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, Rows
from homodyne_cli.errors import ConfigError
from homodyne_cli.parameters import BY_NAME, names_of
from homodyne_cli.problem import FitProblem


def free_names(problem: FitProblem) -> tuple[str, ...]:
    """Return the parameters that the fit may move, in table order."""
    active = problem.initial.active
    return tuple(
        n
        for n in names_of(problem.mode)
        if n not in problem.initial.fixed and (active is None or n in active)
    )


def start_values(problem: FitProblem) -> dict[str, float]:
    """Return the start of every parameter: fixed, given, or default moved into the bounds."""
    given = problem.initial.values or {}
    start = {n: given.get(n, BY_NAME[n].start) for n in names_of(problem.mode)}
    for name in free_names(problem):
        bounds = problem.bounds[name]
        start[name] = float(np.clip(start[name], bounds.lower, bounds.upper))
    start.update(problem.initial.fixed)
    return start


def dataset_sigma(dataset: Dataset) -> FloatArray:
    """Return (n_phi,) sigma: the dataset's own, or estimated from its maps."""
    if dataset.sigma is None:
        return estimate_sigma(dataset)
    if dataset.sigma.ndim == 1:
        return dataset.sigma
    return rms_sigma(dataset.array, dataset.sigma)


def build_objective(
    dataset: Dataset,
    problem: FitProblem,
    sigma: FloatArray,
    frames: IndexArray | None = None,
    like: PairObjective | None = None,
) -> PairObjective:
    """Pack the data (or the pairs of some frames) and set up the reduced problem.

    With `like`, the objective of the whole dataset, the pairs of some frames run the code that
    is compiled for the whole.

    Raises
    ------
    ConfigError
        If ``per_angle_mode: fixed`` lacks values, or their number does not fit the angles.
    """
    initial = problem.initial
    if problem.per_angle_mode == "fixed" and (initial.contrast is None or initial.offset is None):
        raise ConfigError(
            "per_angle_mode 'fixed' needs initial_parameters.per_angle_scaling "
            "with contrast and offset",
            hint="give one value or one per angle for each, or use per_angle_mode: individual",
        )
    refuse_harmonics(problem, dataset.rows)
    names = names_of(problem.mode)
    start = start_values(problem)
    weight = PairWeight(problem.solver.loss)
    return PairObjective(
        tiles=pack_pairs(dataset, weight, frames, None if like is None else like.tiles),
        kind=PassSpec(problem.mode, problem.convention, weight=weight),
        scaling=scaling_model(
            problem.per_angle_mode,
            dataset.rows,
            repeats=problem.per_repeat_mode,
            order=problem.fourier_order,
            contrast=_per_angle(initial.contrast, dataset.n_phi, "contrast"),
            offset=_per_angle(initial.offset, dataset.n_phi, "offset"),
            contrast_bounds=problem.contrast_bounds,
            offset_bounds=problem.offset_bounds,
        ),
        sigma=sigma,
        full=np.array([start[n] for n in names]),
        free=bounded_parameters(problem),
    )


def refuse_harmonics(problem: FitProblem, rows: Rows) -> None:
    """Raise ConfigError if contrast and offset are series of more terms than angles of a ring."""
    terms = 2 * problem.fourier_order + 1
    groups = scaling_groups(problem.per_angle_mode, rows, problem.per_repeat_mode)
    n_phi = int(np.bincount(groups).min())
    if problem.per_angle_mode == "fourier" and terms > n_phi:
        raise ConfigError(
            f"per_angle_mode 'fourier' of order {problem.fourier_order} has "
            f"{terms} coefficients for {n_phi} angles",
            hint="lower fourier_order, or use per_angle_mode: individual",
        )


def _per_angle(values: tuple[float, ...] | None, n_phi: int, quantity: str) -> FloatArray:
    if values is None:
        return np.zeros(n_phi)
    if len(values) not in (1, n_phi):
        raise ConfigError(
            f"initial_parameters.per_angle_scaling.{quantity} has {len(values)} values for "
            f"{n_phi} angles",
            hint=f"give one value, or {n_phi}",
        )
    return np.broadcast_to(np.asarray(values, dtype=float), (n_phi,)).copy()


def bounded_parameters(problem: FitProblem) -> FreeParameters:
    """Return the free parameters with their start and bounds."""
    names, start = free_names(problem), start_values(problem)
    bounds = [problem.bounds[n] for n in names]
    return FreeParameters(
        names,
        np.array([start[n] for n in names]),
        np.array([b.lower for b in bounds]),
        np.array([b.upper for b in bounds]),
    )
