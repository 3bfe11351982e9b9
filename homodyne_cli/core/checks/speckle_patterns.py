r"""Patterns in residuals whose noise is that of speckles: a test and a verdict for each.

Residuals are judged in the metric of their covariance (`core.noise.score_tests`), frames merged
into blocks where there are many:

    lags           bins of lag over all angles            a wrong decay, a static component
    ages           bins of (t1 + t2)/2 over all angles     dynamics that change on the way
    angles' lags   bins of lag of each angle              a wrong shear factor, a beat
    blocks         coarse blocks of each angle            anything smooth over the map: chi_squared
    frames         single frames over all angles          frames lost, the beam that jumps

and what wrong models known by name would add (`alternatives`), with one amplitude for all angles.

A single frame k is judged by the sum over j of Z_kj, Z = C0^-1 R: its score against the pattern of
its row. Frames' noise is nearly the same from one to the next, so that the scatter of the other
frames is the measure, taken from their median deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from homodyne_cli.core.checks.alternatives import alternative_maps
from homodyne_cli.core.checks.angle_maps import FittedModel, MergedFrames, angle_maps
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.noise.score_tests import (
    AngleScores,
    JoinedScores,
    ScoreTest,
    joined_scores,
    score_test,
)
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray

_LAG_BINS, _AGE_BINS, _BLOCKS = 12, 8, 6
#: Patterns whose amplitude is so many uncertainties off belong to what is named.
_NAMED = 3.0
#: Frames on either side that a frame is compared with.
_NEIGHBOURS = 10
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class SpecklePattern:
    """Outcome of one test in words and numbers.

    Attributes
    ----------
    kind
        ``lags``, ``ages``, ``angles' lags``, ``blocks``, ``frames``, or what would be wrong.
    p_value
        Chance that noise alone does more.
    effect
        Size in percent of the contrast, noise taken off.
    reduced
        Statistic over its degrees of freedom; expected 1.
    place
        In words; empty where nothing stands out.
    """

    kind: str
    p_value: float
    effect: float
    reduced: float
    place: str


def find_speckle_patterns(
    residuals: Residuals, model: FittedModel, noise: SpeckleEstimate
) -> tuple[SpecklePattern, ...]:
    """Run the five tests, in the order above, then those against wrong models known by name."""
    merged = MergedFrames.of(residuals.dataset.t)
    bins = _Bins.of(len(merged.t))
    angles = residuals.each_angle(lambda a: _one_angle(residuals, model, noise, merged, bins, a))
    scores = joined_scores([angle.scores for angle in angles], noise.n_speckles)
    contrast = max(float(np.mean(model.contrast)), 1e-300)

    def outcome(kind: str, test: ScoreTest, place: str) -> SpecklePattern:
        return _pattern(kind, test, test.amplitude / contrast, place)

    data, t, dt = residuals.dataset, merged.t, residuals.dataset.dt
    lags, ages = (score_test(scores.over_angles(chosen)) for chosen in (bins.lags, bins.ages))
    each, blocks = (score_test(scores.of_angles(chosen)) for chosen in (bins.lags, bins.blocks))
    lag_edges = np.append(bins.lag_edges, len(t)) * dt * merged.size
    age_edges = np.linspace(t[0], t[-1], _AGE_BINS + 1)
    return (
        outcome("lags", lags, _stretches(lags, lag_edges, "lags", "s")),
        outcome("ages", ages, _stretches(ages, age_edges, "ages", "s")),
        outcome("angles' lags", each, _worst_angle(each, data, lag_edges)),
        outcome("blocks", blocks, _worst_block(blocks, data, t)),
        _frames(
            np.sum([angle.rows for angle in angles], axis=0),
            merged, dt, contrast, noise.n_speckles,
        ),
        *_wrong_models(scores, angles, t, noise.n_speckles),
    )  # fmt: skip


def _wrong_models(
    scores: JoinedScores, angles: Sequence[_AngleOutcome], t: FloatArray, n_speckles: float
) -> list[SpecklePattern]:
    """Test against the maps of known wrong models, with one amplitude for all angles."""
    peaks = np.max([angle.peaks for angle in angles], axis=0)
    first = min(chosen.start for chosen in angles[0].kinds.values())
    patterns = []
    for kind, chosen in angles[0].kinds.items():
        pooled = scores.over_angles(chosen)
        test = score_test(pooled)
        # The variance of a score is its information over M.
        variance = np.maximum(np.diag(pooled.covariance), 1e-300)
        amplitude = pooled.values / (n_speckles * variance)
        excess = np.maximum(amplitude**2 - 1.0 / (n_speckles**2 * variance), 0.0)
        peak = peaks[chosen.start - first : chosen.stop - first]
        effect = float(np.max(np.where(np.isfinite(test.pulls), np.sqrt(excess) * peak, 0.0)))
        place = ""
        if kind.endswith("over time"):
            edges = np.linspace(t[0], t[-1], len(amplitude) + 1)
            k = int(np.nanargmax(np.abs(test.pulls)))
            place = f"t = {edges[k]:.3g} to {edges[k + 1]:.3g} s"
        patterns.append(_pattern(kind, test, effect, place))
    return patterns


def _pattern(kind: str, test: ScoreTest, effect: float, place: str) -> SpecklePattern:
    """Return a test in words; `effect` is in units of the contrast."""
    reduced = test.statistic / max(test.freedom, 1)
    return SpecklePattern(kind, test.p_value, 100.0 * effect, reduced, place)


@dataclass(frozen=True)
class _Bins:
    """Patterns over m frames, and which of them belong together."""

    patterns: FloatArray
    lags: slice
    ages: slice
    blocks: slice
    lag_edges: IndexArray

    @classmethod
    def of(cls, m: int) -> _Bins:
        i, j = np.indices((m, m))
        lag = np.abs(i - j)
        lag_edges = np.unique(np.geomspace(1, m, _LAG_BINS + 1).astype(int))[:-1]
        lag_bin = np.searchsorted(lag_edges, lag, side="right") - 1
        age_bin = np.minimum((i + j) * _AGE_BINS // (2 * m - 1), _AGE_BINS - 1)
        block = np.arange(m) * _BLOCKS // m
        low, high = np.minimum(block[i], block[j]), np.maximum(block[i], block[j])
        place = low * _BLOCKS + high
        groups = [lag_bin == k for k in range(len(lag_edges))]
        ages = [age_bin == k for k in range(_AGE_BINS)]
        squares = [place == k for k in np.unique(place)]
        first, second = len(groups), len(groups) + len(ages)
        patterns = np.array([*groups, *ages, *squares], dtype=float)
        patterns *= 1.0 - np.eye(m)
        return cls(
            patterns, slice(0, first), slice(first, second), slice(second, len(patterns)), lag_edges
        )


@dataclass(frozen=True)
class _AngleOutcome:
    """One angle: scores, sums of Z over the rows, kinds of wrong models, peaks of their maps."""

    scores: AngleScores
    rows: FloatArray
    kinds: Mapping[str, slice]
    peaks: FloatArray


def _one_angle(
    residuals: Residuals,
    model: FittedModel,
    noise: SpeckleEstimate,
    merged: MergedFrames,
    bins: _Bins,
    angle: int,
) -> _AngleOutcome:
    maps = angle_maps(residuals, model, noise, merged, angle)
    present = maps.covariance.present
    rows = maps.covariance.precision.weights((maps.residual * present)[None])[0].sum(axis=1)
    wrong = alternative_maps(maps.pairs)
    contrast = float(model.contrast[angle])
    scores = maps.scores(np.concatenate([bins.patterns, contrast * wrong.maps]))
    first = len(bins.patterns)
    kinds = {kind: slice(first + s.start, first + s.stop) for kind, s in wrong.kinds.items()}
    return _AngleOutcome(scores, maps.share * rows, kinds, np.abs(wrong.maps).max(axis=(1, 2)))


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _stretches(test: ScoreTest, edges: FloatArray, quantity: str, unit: str) -> str:
    """Name the stretches of bins that are off: "lags below 0.2 s, lags 1 to 3 s"."""
    deviation = np.abs(np.nan_to_num(test.pulls)) > _NAMED
    if not deviation.any():
        deviation = np.abs(np.nan_to_num(test.pulls)) == np.nanmax(np.abs(test.pulls), initial=0.0)
    if deviation.all():
        return f"all {quantity}"
    return ", ".join(_stretch(a, b, edges, quantity, unit) for a, b in _runs(deviation))


def _stretch(first: int, last: int, edges: FloatArray, quantity: str, unit: str) -> str:
    low, high = edges[first], edges[last + 1]
    if first == 0:
        return f"{quantity} below {high:.3g} {unit}"
    if last == len(edges) - 2:
        return f"{quantity} above {low:.3g} {unit}"
    return f"{quantity} {low:.3g} to {high:.3g} {unit}"


def _worst_angle(test: ScoreTest, dataset: Dataset, edges: FloatArray) -> str:
    pulls = np.nan_to_num(np.abs(test.pulls)).reshape(dataset.n_phi, -1)
    worst = int(pulls.max(axis=1).argmax())
    others = int(np.count_nonzero(pulls.max(axis=1) > _NAMED)) - 1
    remainder = f" and {others} more angles" if others > 0 else ""
    k = int(pulls[worst].argmax())
    return f"{dataset.place(worst)}{remainder}, {_stretch(k, k, edges, 'lags', 's')}"


def _worst_block(test: ScoreTest, dataset: Dataset, t: FloatArray) -> str:
    pulls = np.nan_to_num(np.abs(test.pulls)).reshape(dataset.n_phi, -1)
    angle, k = np.unravel_index(int(pulls.argmax()), pulls.shape)
    low, high = (side[k] for side in np.triu_indices(_BLOCKS))
    middle = [t[min(int((b + 0.5) * len(t) / _BLOCKS), len(t) - 1)] for b in (low, high)]
    return f"{dataset.place(int(angle))}, t1 = {middle[0]:.3g} s, t2 = {middle[1]:.3g} s"


def _frames(
    rows: FloatArray, merged: MergedFrames, dt: float, contrast: float, n_speckles: float
) -> SpecklePattern:
    """Compare each frame with its neighbours."""
    # Few runs have speckles to look at, and it takes a while to import.
    from scipy import ndimage

    smooth = ndimage.median_filter(rows, 2 * _NEIGHBOURS + 1, mode="nearest")
    deviation = rows - smooth
    spread = max(_MAD_TO_SIGMA * float(np.median(np.abs(deviation))), 1e-300)
    pull = deviation / spread
    # A scale from the median deviation of n frames is known as well as one from n/3 squares.
    freedom = max(len(rows) / 3.0, 1.0)
    p_value = min(1.0, len(rows) * float(2.0 * special.stdtr(freedom, -np.abs(pull).max())))
    named = np.flatnonzero(np.abs(pull) > -special.stdtrit(freedom, 0.05 / len(rows)))
    # What a frame that is off by one adds to its score is M times the variance of scores.
    excess = np.maximum(deviation[named] ** 2 - spread**2, 0.0)
    amplitude = float(np.sqrt(excess.mean())) / (n_speckles * spread**2) if len(named) else 0.0
    # The middle of the first block; t may count from long before the window.
    middle = 0.5 * (1.0 + merged.size)
    first = np.rint((merged.t - merged.t[0]) / dt + middle).astype(int)
    numbers = [str(first[k]) if merged.size == 1 else f"about {first[k]}" for k in named[:12]]
    remainder = f" and {len(named) - 12} more" if len(named) > 12 else ""
    place = f"frames {', '.join(numbers)}{remainder}" if len(named) else ""
    reduced = float(np.mean(pull**2))
    return SpecklePattern("frames", p_value, 100.0 * amplitude / contrast, reduced, place)


def chances(patterns: Sequence[SpecklePattern]) -> float:
    """Return the chance that noise alone makes the least likely of several patterns."""
    return min(1.0, len(patterns) * min(pattern.p_value for pattern in patterns))
