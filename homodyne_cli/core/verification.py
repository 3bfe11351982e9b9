"""Whether a fit is good: a run, evaluated once, before the checks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.agreement import find_agreement, uncompared_kinds
from homodyne_cli.core.agreement_verdicts import check_agreement, check_without_comparison
from homodyne_cli.core.checks.angle_maps import FittedModel
from homodyne_cli.core.checks.checklist import BaselineFit, CheckInputs, run_checks
from homodyne_cli.core.checks.residuals import check_residuals
from homodyne_cli.core.checks.speckle_verdicts import SpeckleVerdict, judge_speckles
from homodyne_cli.core.diagnosis import diagnose
from homodyne_cli.core.evaluation import EvaluatedRun
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.dataset import Dataset
from homodyne_cli.findings.agreement import Agreement

#: Rows of two maps that are held at a time, for maps that lie on disk.
_COMPARED_ROWS = 256


def verify(
    evaluated: EvaluatedRun,
    older: StoredRun | None = None,
    agreements: Sequence[Agreement] | None = None,
) -> tuple[CheckResult, ...]:
    """Run the checks on a run, beside an older one on the same data if there is one.

    Parameters
    ----------
    agreements
        Of its rings and repeats, if they have been compared.
    """
    compared = find_agreement(evaluated) if agreements is None else agreements
    checks = run_checks(check_inputs(evaluated, older))
    return (
        *checks,
        *map(check_agreement, compared),
        *map(check_without_comparison, uncompared_kinds(evaluated)),
    )


def check_inputs(evaluated: EvaluatedRun, older: StoredRun | None = None) -> CheckInputs:
    """Collect what the checks look at; an older run is judged on the pairs of this one."""
    diagnosis, residuals = diagnose(evaluated), evaluated.residuals
    white = check_residuals(residuals)
    return CheckInputs(
        run=evaluated.run,
        residuals=residuals,
        chi2=evaluated.chi2,
        degrees_of_freedom=evaluated.degrees_of_freedom,
        edm=diagnosis.edm,
        effective_ratio=diagnosis.effective_ratio,
        at_bounds=evaluated.at_bounds,
        baseline=None if older is None else _baseline(evaluated, older),
        white=white,
        speckles=_speckles(evaluated, white),
    )


def _speckles(evaluated: EvaluatedRun, white: CheckResult) -> SpeckleVerdict | None:
    """Judge residuals by the noise of speckles, counted anew.

    Small maps of few speckles look white to the fit: they are counted where white noise is not
    enough to explain the residuals.
    """
    run = evaluated.run
    saw_speckles = np.isfinite(run.record.noise.n_speckles)
    if not saw_speckles and white.status in ("pass", "n/a"):
        return None
    model = FittedModel.of(run.dataset, run.problem, run.solution)
    with serial_algebra():
        return judge_speckles(evaluated.residuals, model)


def _baseline(evaluated: EvaluatedRun, older: StoredRun) -> BaselineFit:
    name = str(older.record.directory)
    new, old = evaluated.run.dataset, older.dataset
    if new.c2.shape != old.c2.shape or not np.allclose(new.phi, old.phi):
        return BaselineFit(name, None, "it was fitted to other angles or frames")
    if not all(_same_data(new, old, a) for a in range(new.n_phi)):
        return BaselineFit(name, None, "it was fitted to other data")
    return BaselineFit(name, evaluated.chi2_of(older))


def _same_data(one: Dataset, other: Dataset, angle: int) -> bool:
    new, old = one.c2[angle], other.c2[angle]
    for first in range(0, len(new), _COMPARED_ROWS):
        rows = slice(first, first + _COMPARED_ROWS), slice(first, None)
        if np.triu(~np.isclose(new[rows], old[rows], 1e-6, 0.0, equal_nan=True), 1).any():
            return False
    return True
