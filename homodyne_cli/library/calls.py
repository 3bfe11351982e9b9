"""What the commands of the same names do, on objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from homodyne_cli import flow
from homodyne_cli.assessments import Measure
from homodyne_cli.core import diagnosis as core_diagnosis
from homodyne_cli.core import verification as core_verification
from homodyne_cli.core.agreement import find_agreement
from homodyne_cli.core.judged_fit import judged_fit
from homodyne_cli.core.uncertainty.profile_likelihood import check_profiled
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import read_run
from homodyne_cli.library.fitted import Fit
from homodyne_cli.library.inputs import PathLike, load_data
from homodyne_cli.library.judged import DiagnosedFit, VerifiedFit
from homodyne_cli.problem import Config


def fit(config: Config, data: Dataset | None = None, *, profile: Sequence[str] = ()) -> Fit:
    """Fit what a config asks for, in memory.

    Parameters
    ----------
    data
        Maps; None reads those of the config.
    profile
        Parameters that get profile-likelihood intervals (`result.profiles`).

    Raises
    ------
    HomodyneError
        The data or the config cannot be used, or there is nothing to fit.
    """
    check_profiled(config.problem, tuple(profile))
    maps = load_data(config) if data is None else data
    result, judged = judged_fit(maps, config.problem, tuple(profile))
    return Fit(judged, replace(config.problem, bounds=result.bounds), result, result.record)


def make_run(config: Config, directory: PathLike, *, force: bool = False) -> Fit:
    """Fit and write the run directory, as ``homodyne fit`` does; return the fit read back.

    Parameters
    ----------
    force
        Replace a run directory that is there.

    Raises
    ------
    HomodyneError
        The data, the config or the place cannot be used, or there is nothing to fit.
    """
    made = flow.make_run(config, Path(directory), force=force)
    if made.directory is None:
        assert made.unsaved is not None
        raise made.unsaved
    return load_run(made.directory)


def load_run(directory: PathLike, gap: float | None = None) -> Fit:
    """Read a run directory, of this program or of homodyne 2.x.

    Parameters
    ----------
    gap
        In Å, for a run that does not record it.

    Raises
    ------
    DataError
        It is no run, or damaged.
    """
    run, saved = read_run(Path(directory), gap), read_result(Path(directory), gap)
    return Fit(run.dataset, run.problem, saved.result, run.record, saved.seconds)


def diagnose(
    fitted: Fit,
    *,
    threshold: float = core_diagnosis.THRESHOLD,
    baseline: Sequence[str] | None = None,
    measure: Measure = "gradient",
) -> DiagnosedFit:
    """Judge balance and convergence of a fit.

    Parameters
    ----------
    threshold
        Effective ratio above which it counts as imbalanced.
    baseline
        Parameters whose geometric mean is the baseline of the rule; None takes D0, D_offset, phi0.
    measure
        What the recommended scale is built from.
    """
    evaluated = fitted.evaluated
    judged = core_diagnosis.diagnose(
        evaluated, threshold=threshold, baseline=baseline, measure=measure
    )
    return DiagnosedFit(evaluated.run, judged)


def verify(fitted: Fit, older: Fit | None = None) -> VerifiedFit:
    """Run the checklist on a fit, beside an older one on the same data if there is one."""
    evaluated = fitted.evaluated
    earlier = None if older is None else older.evaluated.run
    agreements = find_agreement(evaluated)
    checks = core_verification.verify(evaluated, earlier, agreements)
    return VerifiedFit(evaluated.run, checks, agreements)
