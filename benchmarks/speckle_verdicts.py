"""Whether `verify` is right on speckle data: right fits pass, wrong models are caught.

Fields are drawn (`core.simulation`), fitted from the truth and checked. For a wrong model the
power stands beside that of the best test there is: the score test against its own misfit, known
here, at half a percent of false alarms.

    python -m benchmarks.speckle_verdicts [--realisations 20] [--only right,step]
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from homodyne_cli.core.checks.angle_maps import FittedModel
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.speckle_verdicts import (
    FALSE_ALARM,
    FALSE_ALARM_OF_MANY,
    check_peculiar_patterns,
    check_smooth_misfit,
    judge_speckles,
)
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.model.curves import model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.score_tests import angle_scores, joined_scores, score_test
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.core.verification import verify
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.problem import FitProblem
from tests.support.problems import make_problem
from tests.support.verified import run_of

TRUTH = np.array([8000.0, -0.3, 0.0, 1e-3, -0.25, 0.0, 4.0])
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}


class Setting(NamedTuple):
    """An experiment: frames, angles, contrast, speckles, photons per speckle and frame."""

    frames: int
    angles: int
    contrast: float
    speckles: int
    counts: float


#: Bright to 0.1 photons per speckle and frame.
SETTINGS = (
    Setting(60, 3, 0.3, 600, 20.0),
    Setting(100, 3, 0.3, 1500, 2.0),
    Setting(100, 4, 0.5, 3000, 5.0),
    Setting(200, 5, 0.2, 2000, 1.0),
    Setting(400, 3, 0.1, 5000, 1.0),
    Setting(100, 23, 0.3, 20000, 0.1),
)


@dataclass(frozen=True)
class Changed(PairModel):
    """A field correlation that the model does not have."""

    change: Callable[[FloatArray], FloatArray] = np.asarray

    def g1(self, i: np.ndarray, j: np.ndarray) -> FloatArray:
        """Return the changed correlation at pairs (i, j)."""
        lag = np.abs(np.asarray(i - j, dtype=float))
        return self.change(np.stack([super().g1(i, j), lag]))


@dataclass(frozen=True)
class Wrong(Experiment):
    """An experiment whose field is not that of the model, by `case`."""

    case: str = "right"

    def angles(self) -> list[PairModel]:
        """Return g1 and f of each angle."""
        models = super().angles()
        n = self.n_frames
        if self.case == "step":
            return [replace(m, decay=_stepped(m.decay)) for m in models]
        changes: dict[str, Callable[[FloatArray], FloatArray]] = {
            "static": lambda v: 0.95 * v[0] + 0.05,
            "drift": lambda v: v[0] * np.exp(-((v[1] / (0.5 * n)) ** 2)),
            "beat": lambda v: 0.95 * v[0] + 0.05 * np.cos(2.0 * np.pi * v[1] / 8.0),
        }
        if self.case not in changes:
            return models
        return [Changed(m.decay, m.phase, m.form, changes[self.case]) for m in models]


def _stepped(decay: FloatArray) -> FloatArray:
    """Let the second half decay half as fast again."""
    middle = len(decay) // 2
    later = decay[middle] + 1.5 * (decay[middle:] - decay[middle])
    return np.concatenate([decay[:middle], later])


def _lost(data: Dataset) -> Dataset:
    """Let three frames measure too much, by 2% of c2."""
    c2 = np.array(data.c2)
    for frame in (19, 20, 54):
        c2[:, frame, :] *= 1.02
        c2[:, :, frame] *= 1.02
    return replace(data, c2=c2)


CASES = ("right", "kernel", "exponent", "step", "static", "drift", "beat", "lost")


class Outcome(NamedTuple):
    """Verdicts of the two checks, what decided, what is said of the noise, and who complains."""

    chi_squared: str
    residuals: str
    message: str
    n_speckles: float
    photons: float
    caught_at_best: bool
    others: tuple[str, ...]


def _complaints(evaluated: EvaluatedRun) -> tuple[str, ...]:
    """Return the other checks of `verify` that do not pass."""
    known = "chi_squared", "residuals"
    checks = [c for c in verify(evaluated) if c.id not in known]
    return tuple(c.id for c in checks if c.status in ("warn", "fail"))


def _model_of(evaluated: EvaluatedRun) -> FittedModel:
    run, data = evaluated.run, evaluated.run.dataset
    values, convention = run.solution.vector, run.problem.convention
    curves = model_curves(data.t, data.phi, data.q, data.gap, values, convention)
    places = tuple(evaluated.objective.places)
    return FittedModel(curves, run.solution.contrast, convention, places, np.arange(data.n_phi))


def _misfit(experiment: Experiment, problem: FitProblem) -> FloatArray:
    """Return what a fit to the expected maps leaves over, (n_phi, n, n)."""
    n_phi, n = len(experiment.phi), experiment.n_frames
    frames = np.arange(n)
    contrast = experiment.scaling()[0]
    expected = np.stack([
        1.0 + contrast[a] * truth.g1(frames[:, None], frames) ** 2
        for a, truth in enumerate(experiment.angles())
    ])  # fmt: skip
    empty = np.full(n_phi, 1e-3)
    data = Dataset(
        expected,
        experiment.phi,
        experiment.t,
        np.full(len(experiment.phi), experiment.q),
        experiment.gap,
        experiment.dt,
        empty,
        {},
    )
    residuals = evaluate_run(run_of(data, problem, fit(data, problem))).residuals
    i, j = np.broadcast_arrays(frames[:, None], frames)
    return np.stack([expected[a] - residuals.fit_at(a, i, j) for a in range(n_phi)])


def _best_test(
    misfit: FloatArray, residuals: Residuals, model: FittedModel, noise: SpeckleEstimate
) -> bool:
    """Whether the score test against the misfit itself, known here, rejects the fit."""
    n = residuals.dataset.n_frames
    frames = np.arange(n)
    i, j = frames[:, None], frames[None, :]
    off = 1.0 - np.eye(n)
    angles = []
    for a in range(len(misfit)):
        fitted = residuals.fit_at(a, *np.broadcast_arrays(i, j))
        data = np.asarray(residuals.dataset.c2[a], dtype=float)
        pairs = pair_model(model.curves, a, model.convention)
        contrast = float(model.contrast[a])
        modes = min(noise.modes, 1.0 / contrast)
        photon_noise = float(noise.photon_noise[a])
        covariance = SpeckleCovariance(pairs.g1(i, j), contrast, photon_noise, modes, off)
        columns = angle_columns(pairs, model.curves, a, contrast)
        chosen = columns[[*model.free, -2, -1]]
        p = len(model.free)
        places = np.array([*range(p), p + 2 * a, p + 2 * a + 1])
        residual = (data - fitted) * off
        angles.append(angle_scores(covariance, residual, chosen, misfit[a : a + 1] * off, places))
    pooled = joined_scores(angles, noise.n_speckles).over_angles(slice(0, 1))
    return score_test(pooled).p_value < FALSE_ALARM


def one_fit(setting: Setting, case: str, seed: int) -> Outcome:
    """Simulate, fit and check one realisation."""
    experiment = Wrong(
        TRUTH, np.linspace(0.0, 90.0, setting.angles), setting.frames, 0.0054, 2e6, 0.1,
        setting.contrast, 1.0, case=case,
    )  # fmt: skip
    data = simulate(experiment, Noise(0.0, setting.speckles, setting.counts), seed).dataset
    whole = data
    data = _lost(data) if case == "lost" else data
    problem = make_problem(
        convention="homodyne-2" if case == "kernel" else "he2024",
        start=tuple(TRUTH),
        fixed={**HELD, "alpha": 0.0} if case == "exponent" else HELD,
    )
    result = fit(data, problem)
    evaluated = evaluate_run(run_of(data, problem, result))
    model = _model_of(evaluated)
    with serial_algebra():
        verdict = judge_speckles(evaluated.residuals, model)
    others = _complaints(evaluated) if case == "right" else ()
    if verdict is None:
        return Outcome("white", "white", "", float("inf"), 0.0, False, others)
    checks = check_smooth_misfit(verdict), check_peculiar_patterns(verdict)
    photons = float(np.mean(1.0 / verdict.noise.photon_noise))
    worst = next((c for c in checks if c.status != "pass"), checks[1])
    misfit = data.array - whole.array
    if case not in ("right", "lost"):
        misfit = _misfit(experiment, problem)
    best = case != "right" and _best_test(
        np.asarray(misfit, dtype=float), evaluated.residuals, model, verdict.noise
    )
    statuses = checks[0].status, checks[1].status
    return Outcome(*statuses, worst.message, verdict.noise.n_speckles, photons, best, others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--realisations", type=int, default=20)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--settings", default=",".join(str(k) for k in range(len(SETTINGS))))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(f"false-alarm rate of chi_squared {FALSE_ALARM}, of residuals {FALSE_ALARM_OF_MANY}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        for case in options.only.split(","):
            for k in (int(k) for k in options.settings.split(",")):
                work = partial(one_fit, SETTINGS[k], case)
                outcomes = list(pool.map(work, range(options.realisations)))
                _report(case, SETTINGS[k], outcomes)


def _report(case: str, setting: Setting, outcomes: list[Outcome]) -> None:
    count = len(outcomes)
    passed = sum(
        {o.chi_squared, o.residuals} <= {"pass", "white"} and not o.others for o in outcomes
    )
    failed = sum("fail" in (o.chi_squared, o.residuals) for o in outcomes)
    white = sum(o.chi_squared == "white" for o in outcomes)
    best = sum(o.caught_at_best for o in outcomes)
    speckles = np.array([o.n_speckles for o in outcomes if np.isfinite(o.n_speckles)])
    photons = np.array([o.photons for o in outcomes if np.isfinite(o.n_speckles)])
    known = ""
    if len(speckles):
        known = f"M {speckles.mean():.4g} +- {speckles.std():.2g}, photons {photons.mean():.3g}"
    print(
        f"{case:9s} {setting.angles} x {setting.frames}, contrast {setting.contrast}, "
        f"{setting.speckles} speckles, {setting.counts} photons: {passed} of {count} pass, "
        f"{failed} fail, {white} white; best test rejects {best}; {known}",
        flush=True,
    )
    others = Counter(name for o in outcomes for name in o.others)
    if others:
        print(f"          other checks that complain: {dict(others)}", flush=True)
    said = next((o.message for o in outcomes if o.chi_squared != o.residuals), outcomes[0].message)
    print(f"          {said}", flush=True)


if __name__ == "__main__":
    main()
