"""What residuals with speckle noise say of the fit: chi2 and residuals judged by their covariance.

The verdict asks two things of a pattern: whether noise would make it (its chance, all tests
together), and whether it matters (its size in percent of the contrast).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.assessments import CheckResult, CheckStatus
from homodyne_cli.core.checks.angle_maps import FittedModel
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.speckle_patterns import (
    SpecklePattern,
    chances,
    find_speckle_patterns,
)
from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.core.noise.find_speckles import find_speckles
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate

#: Chance that noise alone fails to pass: of one test, and of thirteen together. A wrong model that
#: the best single test at half a percent catches 19 times of 20 has to be caught by one of thirteen
#: 9 times of 10: each then has 0.15%.
FALSE_ALARM, FALSE_ALARM_OF_MANY = 0.005, 0.02
#: Percent of the contrast below which a pattern warns only. Right fits to 600 speckles show up to
#: 0.3: the normalisation of a map by its own means shifts it.
EFFECT_LIMIT = 0.5
#: Photon noise over contrast beyond which speckles change verdicts on a hundred frames less than
#: the errors of their number do; a misfit alone can look like so few photons.
_WHITE_ENOUGH = 25.0
_SMOOTH = "blocks"
_REMEDIES = {
    "lags": "a wrong decay or a static component: look at the lag profiles; try D_offset, another "
    "convention, or shorter lags (end_frame)",
    "ages": "the dynamics change within the window: fit parts of it (start_frame, end_frame), or "
    "look at the beam",
    "angles' lags": "a wrong shear factor, a second component, or an angle that is not sample: "
    "leave that angle out (phi_filtering) and compare",
    "frames": "mask them (experimental_data.bad_frames) and fit again",
    "a component at rest": "part of the sample or of the setup does not move: look for scattering "
    "from windows, or a gel",
    "a stretched decay": "the decay is not a single exponential of q^2 J: particles of many sizes, "
    "a ring too wide in q, or dynamics beyond the model",
    "drift": "decorrelation grows with the square of the lag: beam or sample drift; shorten the "
    "window (end_frame)",
    **dict.fromkeys(
        ("a step in diffusion", "diffusion over time", "a step in shear", "shear over time"),
        "the rate does not follow a power law over the whole window: fit parts of it "
        "(start_frame, end_frame)",
    ),
    "a beat": "a second component moves relative to the first, or stands still beside it",
    "another shear factor": "the flow is not a uniform gradient across the gap, or "
    "model.convention is not that of the data: try the other one",
}


@dataclass(frozen=True)
class SpeckleVerdict:
    """Patterns of a fit whose noise is that of speckles, and the noise that they are judged by."""

    patterns: tuple[SpecklePattern, ...]
    noise: SpeckleEstimate

    @property
    def smooth(self) -> SpecklePattern:
        """Misfit of any smooth kind, which decides on chi2."""
        return next(p for p in self.patterns if p.kind == _SMOOTH)

    @property
    def peculiar(self) -> tuple[SpecklePattern, ...]:
        """Patterns with a cause of their own, which decide on residuals."""
        return tuple(p for p in self.patterns if p.kind != _SMOOTH)


def judge_speckles(residuals: Residuals, model: FittedModel) -> SpeckleVerdict | None:
    """Look for patterns; None where the noise is white after all, or the fit is beyond judging."""
    if not isinstance(residuals.fitted, ModelMaps):
        return None
    speckles = find_speckles(residuals.dataset, residuals.fitted, residuals.sigma)
    if speckles is None:
        return None
    noise = speckles.estimate
    if float(np.median(noise.photon_noise)) > _WHITE_ENOUGH * float(np.mean(model.contrast)):
        return None
    with np.errstate(all="ignore"):
        patterns = find_speckle_patterns(residuals, model, noise)
    known = all(np.isfinite([p.p_value, p.effect, p.reduced]).all() for p in patterns)
    return SpeckleVerdict(patterns, noise) if known else None


def check_smooth_misfit(verdict: SpeckleVerdict) -> CheckResult:
    """Judge chi2 of coarse blocks of the map, in the metric of the noise."""
    pattern = verdict.smooth
    judgement = _judged(
        "chi_squared", (pattern,), f"generalised reduced chi2 {pattern.reduced:.3g} of"
    )
    advice = "the model does not explain the data to their noise: see the residual maps"
    return judgement if judgement.status == "pass" else _with_advice(judgement, advice)


def check_peculiar_patterns(verdict: SpeckleVerdict) -> CheckResult:
    """Judge patterns with a cause of their own."""
    speckles = f"{verdict.noise.n_speckles:.3g} speckles"
    judgement = _judged(
        "residuals", verdict.peculiar, f"no pattern beyond the noise of {speckles} in"
    )
    if judgement.status == "pass":
        return judgement
    worst = min(verdict.peculiar, key=lambda p: p.p_value)
    return _with_advice(judgement, _REMEDIES[worst.kind])


def _with_advice(result: CheckResult, advice: str) -> CheckResult:
    return CheckResult(
        result.id, result.status, result.value, result.threshold, result.message, advice
    )


def _judged(check: str, patterns: Sequence[SpecklePattern], success: str) -> CheckResult:
    worst = min(patterns, key=lambda p: p.p_value)
    chance = chances(patterns)
    least = FALSE_ALARM if len(patterns) == 1 else FALSE_ALARM_OF_MANY
    if chance > least:
        kinds = worst.kind if len(patterns) == 1 else f"{len(patterns)} tests"
        message = f"{success} {kinds} (chance {chance:.2g})"
        return CheckResult(check, "pass", chance, least, message)
    place = f", {worst.place}" if worst.place else ""
    message = (
        f"pattern of {worst.effect:.2g}% of the contrast in {worst.kind}{place} "
        f"(chance {chance:.1g})"
    )
    status: CheckStatus = "fail" if worst.effect >= EFFECT_LIMIT else "warn"
    return CheckResult(check, status, worst.effect, EFFECT_LIMIT, message)
