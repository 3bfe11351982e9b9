"""Fit problems for tests, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from homodyne_cli.parameters import PARAMETERS, AnalysisMode, Convention, PerAngleMode, names_of
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters, SolverOptions

#: A start some way off the published truth, from which a plain descent gets there.
NEAR = (5e4, -1.2, 1500.0, 1.5e-3, -0.1, -3e-4, 1.0)


def make_problem(
    mode: AnalysisMode = "laminar_flow",
    convention: Convention = "he2024",
    *,
    start: Sequence[float] | None = NEAR,
    per_angle_mode: PerAngleMode = "individual",
    fourier_order: int = 1,
    fixed: Mapping[str, float] | None = None,
    active: tuple[str, ...] | None = None,
    contrast: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    bounds: Mapping[str, Bounds] | None = None,
    solver: SolverOptions | None = None,
    global_search: bool = False,
) -> FitProblem:
    names = names_of(mode)
    values = None if start is None else dict(zip(names, start, strict=False))
    table = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    options = SolverOptions() if solver is None else solver
    problem = FitProblem(
        mode=mode,
        convention=convention,
        per_angle_mode=per_angle_mode,
        fourier_order=fourier_order,
        initial=InitialParameters(
            values=values, active=active, fixed=fixed or {}, contrast=contrast, offset=offset
        ),
        bounds={**table, **(bounds or {})},
        solver=replace(options, global_search=global_search or start is None),
    )
    return problem
