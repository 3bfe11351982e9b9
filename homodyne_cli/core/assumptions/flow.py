r"""Assumptions on the flow: all angles see one strain, and nothing moves beside it.

Both are score tests of the residuals in the metric of their noise (`core.noise.score_tests`), with
what the fit absorbs taken off.

**One strain.** With the strain of an angle multiplied by 1 + e its map changes by e times

    B = contrast * kappa * v * (G_j - G_i),    v = df / d(kappa G)

A slip or band that depends on the place, another direction of q, or an angle that is not sample
make e differ from angle to angle; what is common to all is in the shear rate. The patterns are the
B of each angle, one by one, and e = s / <C0^-1 B, B>.

**One component.** The field of the sample has the correlation g1 exp(i x / 2), where x is
kappa (G_j - G_i): the middle of the gap moves with half the wall. A second component of share a
that moves with u times the wall beats with it (heterodyne scattering): to first order in a, c2 has

    2 a contrast * g1 cos((1/2 - u) x)

in addition. The patterns are contrast g1 cos((1/2 - u) x) for u = 1/4 and 1/2, summed over the
angles. A fit takes up 86 to 99% of them, by wrong values of D0 and the shear rate: what is left
tells that there is a beat, not of what motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from homodyne_cli.core.checks.angle_maps import (
    AngleMaps,
    FittedModel,
    MergedFrames,
    angle_maps,
)
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.noise.score_tests import AngleScores, Scores, joined_scores, score_test
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.results import OnCount, unfollowed

#: Blocks of frames: the patterns are smooth, and a fit asks at every end.
_BLOCKS = 160
#: Chance that noise alone is told, as for the checks of `verify`.
FALSE_ALARM = 0.005
#: Differences of the strain that count: simulated particles agree with the model to 1.3%.
_LEAST_STRAIN = 0.02
#: Amplitude of a beat over the contrast that counts, as for other patterns.
_LEAST_BEAT = 0.005
#: Distance of a fit from the minimum of generalised chi2 beyond which what is left of second order
#: would look like a pattern: fits with equal weights to bright data miss it by 20 to 200.
_NEAR = 15.0
#: Motions u of a second component that are asked for; of one at rest the fit leaves less than 1%,
#: and with it what is of second order.
_MOTIONS = (0.25, 0.5)


def flow_findings(
    residuals: Residuals,
    model: FittedModel,
    noise: SpeckleEstimate,
    on_map: OnCount = unfollowed,
) -> Iterator[Finding]:
    """Yield a warning for each assumption on the flow that the residuals speak against."""
    merged = MergedFrames.of(residuals.dataset.t, _BLOCKS)
    sheared = len(model.curves.strain_slopes) > 0

    def score(angle: int) -> AngleScores:
        maps = angle_maps(residuals, model, noise, merged, angle)
        strain = _strain_pattern(model, merged, maps, angle)
        beats = _beat_patterns(model, merged, maps, angle, sheared)
        return maps.scores(np.concatenate([strain, beats]))

    angles = residuals.each_angle(score, on_map=on_map)
    if _distance(angles, noise.n_speckles) > _NEAR:
        return
    scores = joined_scores(angles, noise.n_speckles)
    if sheared and len(angles) > 1:
        yield from _unequal(scores.of_angles(slice(0, 1)), residuals.dataset, noise.n_speckles)
    yield from _second(scores.over_angles(slice(1, None)), noise.n_speckles)


def _distance(angles: Sequence[AngleScores], n_speckles: float) -> float:
    """Return by how much chi2 in the metric of the noise is above its minimum."""
    size = 1 + max(int(angle.places.max()) for angle in angles)
    hessian, slope = np.zeros((size, size)), np.zeros(size)
    for angle in angles:
        hessian[np.ix_(angle.places, angle.places)] += angle.hessian
        slope[angle.places] += angle.column
    return float(n_speckles * slope @ np.linalg.lstsq(hessian, slope, rcond=1e-12)[0])


def _strain_pattern(
    model: FittedModel, merged: MergedFrames, maps: AngleMaps, angle: int
) -> FloatArray:
    """Return the change of the map by the logarithm of the strain, (1, m, m)."""
    curves = merged.curves(model.curves)
    frames = np.arange(len(merged.t))
    _, slope = maps.pairs.with_slope(frames[:, None], frames)
    x = curves.kappa[angle] * (curves.strain[None, :] - curves.strain[:, None])
    return np.asarray((model.contrast[angle] * slope * x)[None])


def _beat_patterns(
    model: FittedModel, merged: MergedFrames, maps: AngleMaps, angle: int, sheared: bool
) -> FloatArray:
    curves, frames = merged.curves(model.curves), np.arange(len(merged.t))
    beat = model.contrast[angle] * maps.pairs.g1(frames[:, None], frames)
    x = curves.kappa[angle] * (curves.strain[None, :] - curves.strain[:, None])
    motions = _MOTIONS if sheared else _MOTIONS[-1:]
    return np.stack([beat * np.cos((0.5 - motion) * x) for motion in motions])


def _amplitudes(scores: Scores, n_speckles: float) -> FloatArray:
    """Return the amplitude of each pattern alone; the information is M times K."""
    information = n_speckles * np.diag(scores.covariance)
    safe = np.where(information > 0.0, information, np.inf)
    return np.asarray(scores.values / safe)


def _unequal(scores: Scores, dataset: Dataset, n_speckles: float) -> Iterator[Finding]:
    test = score_test(scores)
    chance = test.p_value
    pulls = np.nan_to_num(test.pulls)
    worst = int(np.abs(pulls).argmax())
    size = float(_amplitudes(scores, n_speckles)[worst])
    if chance > FALSE_ALARM or abs(size) < _LEAST_STRAIN:
        return
    yield Finding(
        Code.UNEQUAL_SHEAR,
        "warning",
        f"the angles disagree on the strain: {dataset.place(worst)} sees {size:+.1%} of it "
        f"({pulls[worst]:+.1f} sigma; limit {_LEAST_STRAIN:.0%}, chance of all {chance:.1g}): "
        "slip, a shear band, or an angle that does not see the flow",
        "leave that angle out (phi_filtering) and compare; fit halves of the angles",
    )


def _second(scores: Scores, n_speckles: float) -> Iterator[Finding]:
    test = score_test(scores)
    chance = test.p_value
    pulls = np.abs(np.nan_to_num(test.pulls))
    worst = int(pulls.argmax())
    size = abs(float(_amplitudes(scores, n_speckles)[worst]))
    if chance > FALSE_ALARM or size < _LEAST_BEAT:
        return
    yield Finding(
        Code.SECOND_COMPONENT,
        "warning",
        f"the residuals hold a pattern of {size:.1%} of the contrast as the beat with a second "
        f"component leaves it ({pulls[worst]:.1f} sigma; limit {_LEAST_BEAT:.1%}, chance "
        f"{chance:.1g}), or a decay that the model does not have: D0 and the shear rate have taken "
        "up most of it, and are biased by much more",
        "look for what scatters beside the sample (windows, parasitic scattering, sediment); "
        "compare fits to angles along and across the flow (phi_filtering)",
    )
