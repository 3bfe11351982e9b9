"""What cannot be fitted is refused before anything is computed."""

from __future__ import annotations

from homodyne_cli.core.inputs.examine import examine, refuse
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import ConfigError, FitError
from homodyne_cli.problem import FitProblem


def refuse_doubtful(dataset: Dataset, problem: FitProblem) -> None:
    """Refuse data in which there is an error, found here if nobody has looked before.

    Raises
    ------
    FitError
        There is one.
    ConfigError
        The fit has nowhere to begin.
    """
    findings = dataset.findings
    refuse(tuple(examine(dataset, problem)) if findings is None else findings)
    if not problem.solver.global_search and problem.initial.values is None:
        raise ConfigError(
            "the global search is off and there are no initial_parameters.values to start from",
            hint="give start values, or leave the search on",
        )


def refuse_undetermined(objective: PairObjective) -> None:
    """Refuse an objective with nothing free, or with fewer pairs than unknowns.

    Raises
    ------
    FitError
        It is one.
    """
    if not objective.free.names:
        raise FitError("every parameter is fixed: nothing to fit", hint="free at least one")
    n_points, n_unknown = objective.tiles.n_points, objective.n_unknown
    if n_points <= n_unknown:
        raise FitError(
            f"{n_points} pairs cannot determine {n_unknown} unknowns",
            hint="use more frames or angles, or fix parameters",
        )
