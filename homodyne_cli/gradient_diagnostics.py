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
from typing import Protocol, runtime_checkable

import numpy as np

from homodyne_cli.assessments import Diagnosis, Measure, StoredRun
from homodyne_cli.core.diagnosis import THRESHOLD, diagnose, verdict
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_best, evaluate_run
from homodyne_cli.core.minimise.x_scale import gradient_x_scale
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import PARAMETERS, AnalysisMode, names_of
from homodyne_cli.problem import Bounds, Config, FitProblem, InitialParameters
from homodyne_cli.render.console import make_console, print_plain
from homodyne_cli.render.screens.diagnosis import baseline_name
from homodyne_cli.render.tables_checks import diagnosis_table
from homodyne_cli.results import FitRecord, Solution

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
    diagnosis = diagnose_gradient_imbalance(parameters, data, config, analysis_mode)
    return dict(zip(diagnosis.names, np.abs(diagnosis.gradients).tolist(), strict=True))


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
    evaluated = _evaluated(parameters, data, config, analysis_mode)
    return dict(diagnose(evaluated, baseline=baseline, measure=measure).x_scale_map)


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
    evaluated = _evaluated(parameters, data, config, analysis_mode)
    return diagnose(evaluated, threshold=threshold, baseline=baseline, measure=measure)


def print_gradient_report(
    parameters: Parameters, data: Data, config: Settings, analysis_mode: AnalysisMode
) -> None:
    """Print the diagnosis as a table, with its verdict in words."""
    diagnosis = diagnose_gradient_imbalance(parameters, data, config, analysis_mode)
    console = make_console()
    console.print(diagnosis_table(diagnosis, baseline_name(diagnosis, None)))
    for sentence in verdict(diagnosis):
        print_plain(console, sentence)


def _evaluated(
    parameters: Parameters, data: Data, config: Settings, analysis_mode: AnalysisMode
) -> EvaluatedRun:
    """Evaluate a point with the scaling that the data bring along, else the best one there."""
    names = names_of(analysis_mode)
    if isinstance(parameters, Mapping):
        values = {n: float(parameters[n]) for n in names}
    else:
        values = dict(zip(names, map(float, parameters), strict=True))
    problem = _problem(config, analysis_mode)
    dataset = data if isinstance(data, Dataset) else _dataset(data)
    record = FitRecord(x_scale=problem.solver.x_scale_map or {}, written_by="library")
    given = getattr(data, "per_angle_scaling_solver", None)
    if given is None:
        return evaluate_best(problem, dataset, values, record)
    scaling = np.asarray(given, dtype=float)
    solution = Solution(values, scaling[:, 0], scaling[:, 1])
    return evaluate_run(StoredRun(problem, dataset, solution, record))


def _problem(config: Settings, mode: AnalysisMode) -> FitProblem:
    if config is not None:
        problem = config.problem if isinstance(config, Config) else config
        return dataclasses.replace(problem, mode=mode)
    bounds = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    return FitProblem(mode, "he2024", "individual", 0, InitialParameters(), bounds)


def _dataset(data: CorrelationData) -> Dataset:
    t = np.asarray(data.t1, dtype=float)
    return Dataset(
        np.asarray(data.g2, dtype=float),
        np.asarray(data.phi, dtype=float),
        t,
        np.full(len(data.phi), float(data.q)),
        float(data.L),
        float(t[1] - t[0]),
        None,
        {},
    )
