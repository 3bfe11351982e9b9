"""Gradient diagnostics as a library, with the names of the reference document.

Each function takes ``(parameters, data, config, analysis_mode, ...)``:

Parameters
----------
    Mapping by name, or an array in table order.
data
    A `Dataset`, or any object with ``phi`` (n_phi,), ``t1`` (n,), ``g2`` (n_phi, n, n), ``q`` and
    ``L``, and optionally ``per_angle_scaling_solver`` (n_phi, 2) with contrast and offset.
config
    A `FitProblem`, a `Config`, or None for defaults (convention ``he2024``).
analysis_mode
    ``static`` or ``laminar_flow``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from homodyne_cli.assessments import Diagnosis, Measure, Run
from homodyne_cli.core.diagnosis import THRESHOLD, diagnose, problem_of, verdict
from homodyne_cli.core.gram_pass.gram_pass import evaluate
from homodyne_cli.core.minimise.x_scale import gradient_x_scale
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.projection import project
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import PARAMETERS, AnalysisMode, Convention, names_of
from homodyne_cli.problem import Bounds, Config, FitProblem
from homodyne_cli.render.console import make_console, print_plain
from homodyne_cli.render.tables_checks import diagnosis_table

__all__ = [
    "compute_gradient_norms",
    "compute_optimal_x_scale",
    "diagnose_gradient_imbalance",
    "print_gradient_report",
]


@runtime_checkable
class CorrelationData(Protocol):
    """What the reference document's scripts pass as data."""

    phi: FloatArray
    t1: FloatArray
    g2: FloatArray
    q: float
    L: float


Parameters = Mapping[str, float] | Sequence[float] | FloatArray
Data = Dataset | CorrelationData
Settings = FitProblem | Config | None


def compute_gradient_norms(
    parameters: Parameters, data: Data, config: Settings, analysis_mode: AnalysisMode
) -> dict[str, float]:
    """Return |d SSE / d p| by parameter, contrast and offset held at the data's or best values."""
    found = diagnose_gradient_imbalance(parameters, data, config, analysis_mode)
    return dict(zip(found.names, np.abs(found.gradients).tolist(), strict=True))


def compute_optimal_x_scale(
    parameters: Parameters,
    data: Data,
    config: Settings,
    analysis_mode: AnalysisMode,
    *,
    baseline: Sequence[str] | None = None,
    measure: Measure = "gradient",
    gradients: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Return the recommended x_scale by parameter.

    Parameters
    ----------
    baseline
        Parameters whose geometric mean is the baseline; None takes D0, D_offset and phi0.
    measure
        ``gradient``, or ``sensitivity`` for column norms. Gradients below their noise floor make
        the rule fall back to sensitivities.
    gradients
        Known gradients to apply the rule to, instead of computing them.
    """
    if gradients is not None:
        return gradient_x_scale(gradients, baseline)
    found = diagnose(
        _run(parameters, data, config, analysis_mode), baseline=baseline, measure=measure
    )
    return dict(found.x_scale_map)


def diagnose_gradient_imbalance(
    parameters: Parameters,
    data: Data,
    config: Settings,
    analysis_mode: AnalysisMode,
    *,
    threshold: float = THRESHOLD,
    baseline: Sequence[str] | None = None,
    measure: Measure = "gradient",
) -> Diagnosis:
    """Return the full diagnosis at a point; x_scale is the config's map, else 1."""
    run = _run(parameters, data, config, analysis_mode)
    return diagnose(run, threshold=threshold, baseline=baseline, measure=measure)


def print_gradient_report(
    parameters: Parameters, data: Data, config: Settings, analysis_mode: AnalysisMode
) -> None:
    """Print the diagnosis as a table, with its verdict in words."""
    found = diagnose_gradient_imbalance(parameters, data, config, analysis_mode)
    console = make_console()
    console.print(diagnosis_table(found, "geometric mean of D0, D_offset, phi0"))
    for sentence in verdict(found):
        print_plain(console, sentence)


def _problem(config: Settings) -> FitProblem | None:
    return config.problem if isinstance(config, Config) else config


def _run(parameters: Parameters, data: Data, config: Settings, analysis_mode: AnalysisMode) -> Run:
    names = names_of(analysis_mode)
    if isinstance(parameters, Mapping):
        values = {n: float(parameters[n]) for n in names}
    else:
        values = dict(zip(names, map(float, parameters), strict=True))
    problem = _problem(config)
    convention: Convention = "he2024" if problem is None else problem.convention
    bounds = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    dataset = data if isinstance(data, Dataset) else _dataset(data)
    fixed = {} if problem is None else problem.initial.fixed
    run = Run(
        directory=Path(),
        written_by="library",
        mode=analysis_mode,
        convention=convention,
        per_angle_mode="individual" if problem is None else problem.per_angle_mode,
        fourier_order=0 if problem is None else problem.fourier_order,
        dataset=dataset,
        values=values,
        uncertainties={},
        initial={},
        free=tuple(n for n in names if n not in fixed),
        contrast=np.ones(dataset.n_phi),
        offset=np.ones(dataset.n_phi),
        bounds=bounds if problem is None else problem.bounds,
        x_scale=(problem.solver.x_scale_map or {}) if problem is not None else {},
        converged=False,
        message="",
        iterations=-1,
        covariance=None,
        covariance_names=(),
    )
    contrast, offset = _scaling(run, data)
    return dataclasses.replace(run, contrast=contrast, offset=offset)


def _dataset(data: CorrelationData) -> Dataset:
    t = np.asarray(data.t1, dtype=float)
    return Dataset(
        np.asarray(data.g2, dtype=float),
        np.asarray(data.phi, dtype=float),
        t,
        float(data.q),
        float(data.L),
        float(t[1] - t[0]),
        None,
        {},
    )


def _scaling(run: Run, data: Data) -> tuple[FloatArray, FloatArray]:
    """Return the scaling that the data bring along, else the best at these parameters."""
    given = getattr(data, "per_angle_scaling_solver", None)
    if given is not None:
        array = np.asarray(given, dtype=float)
        return array[:, 0], array[:, 1]
    sigma = dataset_sigma(run.dataset)
    objective = build_objective(run.dataset, problem_of(run), sigma)
    values = np.array([run.values[n] for n in names_of(run.mode)])
    found = project(evaluate(objective.tiles, objective.kind, values), objective.scaling, sigma)
    return found.contrast, found.offset
