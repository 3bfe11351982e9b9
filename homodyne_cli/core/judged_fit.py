"""A fit with all that is asked of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.agreement import find_agreement, uncompared_kinds
from homodyne_cli.core.agreement_verdicts import agreement_findings, findings_without_comparison
from homodyne_cli.core.assumptions.assumptions import with_assumptions
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.flow_axis import flow_axis_findings
from homodyne_cli.core.minimise.minimisation import OnIteration
from homodyne_cli.core.uncertainty.profile_likelihood import profile
from homodyne_cli.dataset import Dataset
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult, OnPhase, unfollowed


def judged_fit(
    dataset: Dataset,
    problem: FitProblem,
    profiled: tuple[str, ...] = (),
    notify: OnIteration | None = None,
    on_phase: OnPhase = unfollowed,
) -> tuple[FitResult, Dataset]:
    """Fit, profile, and ask whether the assumptions of the model hold.

    Parameters
    ----------
    profiled
        Parameters that get profile-likelihood intervals.
    notify
        As in `fit`.
    on_phase
        Told what is being done where no steps are taken.

    Returns
    -------
    result, dataset
        The dataset with what does not hold among its findings.
    """
    result = fit(dataset, problem, notify, on_phase)
    # The fit may have widened bounds that nobody chose.
    problem = replace(problem, bounds=result.bounds)
    findings = tuple(flow_axis_findings(result))
    dataset = replace(dataset, findings=(*(dataset.findings or ()), *findings))
    if result.interrupted:
        return result, dataset
    if profiled:
        on_done = partial(on_phase, "profile")
        result = replace(result, profiles=profile(dataset, problem, result, profiled, on_done))
    on_phase("assumptions", 0, 0)
    dataset = with_assumptions(
        dataset, problem, result.solution, result.sigma, result.noise,
        counted=True, on_map=partial(on_phase, "assumptions"),
    )  # fmt: skip
    return _compared(result, dataset, problem)


def _compared(
    result: FitResult, dataset: Dataset, problem: FitProblem
) -> tuple[FitResult, Dataset]:
    """Compare rings and repeats, where there are several."""
    rows = dataset.rows
    if len(rows.rings) == 1 and rows.n_repeats == 1:
        return result, dataset
    noisy = dataset if dataset.sigma is not None else replace(dataset, sigma=result.sigma)
    evaluated = evaluate_run(StoredRun(problem, noisy, result.solution, result.record))
    agreements = find_agreement(evaluated)
    findings = (
        *(dataset.findings or ()),
        *agreement_findings(agreements),
        *findings_without_comparison(uncompared_kinds(evaluated)),
    )
    return replace(result, agreements=agreements), replace(dataset, findings=findings)
