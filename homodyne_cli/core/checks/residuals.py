r"""Whether the residuals have a pattern that white noise does not make.

The normalised residual z = (data - fit) / sigma of the pairs i < j is grouped in several ways:
angles, lags, log-spaced lag bins per angle, and square blocks of the map from a quarter to a
thirty-second of its side. For K groups with sums S_g over N_g pairs white noise gives

    (1/K) sum_g S_g^2 / N_g / s^2  ~  F(K, N - K)

where s^2 is the variance inside the finest blocks, so that an error in sigma cancels. The fit
has absorbed some degrees of freedom, which makes the tests a little conservative. Neighbouring
pairs give one more test, their correlation. Bonferroni's factor keeps all tests together below 1%.

Millions of pairs make any misfit significant, so the verdict also asks how large the pattern
is: its root mean square, noise taken off, in units of sigma. Significant and at least 0.05 sigma
fails; significant and smaller warns. So does correlation between neighbours alone: it makes the
uncertainties too small, but it is not a misfit of the model. Where it is present, s^2 is taken
from the scatter of the finest blocks around the mean of their fours, which includes it, and the
finest blocks are not tested.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from homodyne_cli.assessments import CheckResult
from homodyne_cli.core.checks.lag_profiles import lag_sums
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.dataset import Dataset, FloatArray

#: Chance that white noise fails to pass; half of the 1% allowed, as noise is never quite Gaussian.
FALSE_ALARM = 0.005
#: Smallest pattern, in sigma, that fails.
AMPLITUDE_LIMIT = 0.05
#: Blocks a side: the finest shows a feature of a thirtieth of the window, and every block of the
#: coarsest has at least three frames.
_GRIDS = (4, 8, 16, 32)
_MIN_FRAMES = 3 * _GRIDS[0]
#: Bins of lag, geometric: over three decades of lag a bin is a third wider than the one before.
_LAG_BINS = 24
#: Angles, lag bins, single lags, neighbours and the grids.
_N_TESTS = 4 + len(_GRIDS)


@dataclass(frozen=True)
class Pattern:
    """Outcome of one test: how large, how likely under white noise, and where it is largest."""

    kind: str
    amplitude: float
    p_value: float
    place: str


@dataclass(frozen=True)
class _Sums:
    """Sums of z and of pairs; leading axis n_phi.

    `grid` and `grid_count` (n_phi, G, G) over the finest blocks, `lag` and `lag_count` (n_phi, n),
    `square` (n_phi,) of z^2, `products` and `product_count` over neighbouring pairs.
    """

    grid: FloatArray
    grid_count: FloatArray
    lag: FloatArray
    lag_count: FloatArray
    square: FloatArray
    products: float
    product_count: float


@dataclass(frozen=True)
class _Neighbours:
    """Sum of products of neighbouring z over rows and columns, and their number."""

    total: float = 0.0
    count: float = 0.0

    def add(self, left: np.ndarray, right: np.ndarray, present: np.ndarray) -> _Neighbours:
        """Add products of z that lie side by side; z is zero where there is none."""
        total = float(np.einsum("ij,ij->", left, right))
        return _Neighbours(self.total + total, self.count + float(np.count_nonzero(present)))


def _accumulate(residuals: Residuals) -> _Sums:
    n = residuals.dataset.n_frames
    side = max(g for g in _GRIDS if 3 * g <= n)
    edges = np.linspace(0, n, side, endpoint=False).astype(int)
    each = residuals.each_angle(lambda a: _angle_sums(residuals, a, edges))
    grid, grid_count, lag, lag_count = (
        np.stack([getattr(angle, name) for angle in each])
        for name in ("grid", "grid_count", "lag", "lag_count")
    )
    # Scaled to unit variance, so that no angle dominates.
    products = [a.products * a.grid_count.sum() / max(float(a.square), 1e-300) for a in each]
    square = np.array([float(angle.square) for angle in each])
    count = sum(angle.product_count for angle in each)
    return _Sums(grid, grid_count, lag, lag_count, square, float(sum(products)), count)


def _angle_sums(residuals: Residuals, angle: int, edges: np.ndarray) -> _Sums:
    """Return the sums of one angle, without the leading axis."""
    side, n = len(edges), residuals.dataset.n_frames
    grid, grid_count = np.zeros((2, side, side))
    lag, lag_count = np.zeros((2, n))
    square = 0.0
    near = _Neighbours()
    above: tuple[np.ndarray, np.ndarray] | None = None
    for row, band in enumerate(residuals.bands(angle, edges)):
        keep, z = band.keep, residuals.standardised(angle, band)
        columns = edges[row:] - band.first
        grid[row, row:] = np.add.reduceat(z.sum(axis=0), columns)
        grid_count[row, row:] = np.add.reduceat(keep.sum(axis=0, dtype=float), columns)
        lag[: z.shape[1]] += lag_sums(z)
        lag_count[: z.shape[1]] += lag_sums(keep)
        square += float(np.einsum("ij,ij->", z, z))
        near = near.add(z[:, 1:], z[:, :-1], keep[:, 1:] & keep[:, :-1])
        near = near.add(z[1:], z[:-1], keep[1:] & keep[:-1])
        if above is not None:
            last, kept = (part[:, -z.shape[1] :] for part in above)
            near = near.add(z[:1], last, keep[:1] & kept)
        above = z[-1:], keep[-1:]
    return _Sums(grid, grid_count, lag, lag_count, np.asarray(square), near.total, near.count)


def _scores(sums: FloatArray, count: FloatArray, variance: FloatArray) -> FloatArray:
    """Return S / sqrt(N) / s, zero for empty groups; `variance` broadcasts on the left."""
    return np.asarray(np.where(count > 0, sums / np.sqrt(np.maximum(count, 1) * variance), 0.0))


def _test(
    kind: str,
    place: str,
    score: FloatArray,
    count: FloatArray,
    n_pairs: float,
    *,
    equal: bool = False,
) -> Pattern:
    """Compare the scores of K groups with white noise.

    The amplitude weighs groups by their pairs, or all groups alike with `equal`.
    """
    used = count > 0
    k = int(used.sum())
    statistic = float((score[used] ** 2).sum())
    p = float(special.fdtrc(k, max(n_pairs - k, 1.0), statistic / k))
    excess = score[used] ** 2 - 1.0
    mean = float(np.mean(excess / count[used])) if equal else float(excess.sum() / n_pairs)
    return Pattern(kind, float(np.sqrt(max(mean, 0.0))), p, f"largest at {place}")


def _pooled(score: FloatArray, count: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Merge the first axis (angles) of scores into those of the merged groups."""
    total = count.sum(axis=0)
    merged = (score * np.sqrt(count)).sum(axis=0) / np.sqrt(np.maximum(total, 1.0))
    return merged, total


def _lag_edges(n: int) -> np.ndarray:
    """Return first lags of log-spaced bins, from lag 1."""
    return np.unique(np.geomspace(1, n, _LAG_BINS + 1).astype(int))[:-1]


def _block_place(dataset: Dataset, score: FloatArray) -> str:
    a, row, column = np.unravel_index(int(np.abs(score).argmax()), score.shape)
    side = score.shape[1]
    middle = ((np.array([row, column]) + 0.5) * dataset.n_frames / side).astype(int)
    t1, t2 = dataset.t[np.minimum(middle, dataset.n_frames - 1)]
    return f"{dataset.place(int(a))}, t1 = {t1:.3g} s, t2 = {t2:.3g} s"


def find_patterns(residuals: Residuals) -> tuple[Pattern, ...]:
    """Run all tests on residuals of at least 12 frames; a common error in sigma does not matter."""
    sums = _accumulate(residuals)
    pairs = sums.grid_count.sum(axis=(1, 2))
    block_squares = _scores(sums.grid, sums.grid_count, np.ones(())) ** 2
    blocks = (sums.grid_count > 0).sum(axis=(1, 2))
    variance = (sums.square - block_squares.sum(axis=(1, 2))) / np.maximum(pairs - blocks, 1.0)
    variance = np.maximum(variance, 1e-12 * np.maximum(sums.square / np.maximum(pairs, 1.0), 1e-12))
    neighbours = _neighbour_pattern(sums)
    inflation = 1.0
    if neighbours.p_value < FALSE_ALARM / _N_TESTS:
        inflation = _inflation(sums.grid, sums.grid_count, variance)
        variance = variance * inflation
    groups = _group_patterns(residuals.dataset, sums, variance, finest=inflation == 1.0)
    scaled = [replace(p, amplitude=p.amplitude * float(np.sqrt(inflation))) for p in groups]
    return (*scaled, neighbours)


def _coarser(grid: FloatArray) -> FloatArray:
    """Merge blocks in fours: (n_phi, G, G) to (n_phi, G/2, G/2)."""
    half = grid.shape[1] // 2
    return np.asarray(grid.reshape(len(grid), half, 2, half, 2).sum(axis=(2, 4)))


def _inflation(grid: FloatArray, count: FloatArray, variance: FloatArray) -> float:
    """Return how much block means scatter around those of their fours, against white noise."""
    merged, total = _coarser(grid), _coarser(count)
    fine = _scores(grid, count, variance[:, None, None])
    coarse = _scores(merged, total, variance[:, None, None])
    freedom = int((count > 0).sum()) - int((total > 0).sum())
    return max(1.0, float((fine**2).sum() - (coarse**2).sum()) / max(freedom, 1))


def _group_patterns(
    dataset: Dataset, sums: _Sums, variance: FloatArray, *, finest: bool
) -> list[Pattern]:
    """Test angles, lags and blocks, the finest blocks only if asked for."""
    pairs = sums.grid_count.sum(axis=(1, 2))
    n_pairs = float(pairs.sum())
    patterns = []
    score = _scores(sums.grid.sum(axis=(1, 2)), pairs, variance)
    place = dataset.place(int(np.abs(score).argmax()))
    patterns.append(_test("means of the angles", place, score, pairs, n_pairs))
    patterns += _lag_patterns(dataset, sums, variance, n_pairs)
    grid, count = sums.grid, sums.grid_count
    if not finest and grid.shape[1] > _GRIDS[0]:
        grid, count = _coarser(grid), _coarser(count)
    while True:
        side = grid.shape[1]
        score = _scores(grid, count, variance[:, None, None])
        kind = f"blocks of {dataset.n_frames / side:.0f} frames"
        patterns.append(_test(kind, _block_place(dataset, score), score, count, n_pairs))
        if side == _GRIDS[0]:
            break
        grid, count = _coarser(grid), _coarser(count)
    return patterns


def _lag_patterns(
    dataset: Dataset, sums: _Sums, variance: FloatArray, n_pairs: float
) -> list[Pattern]:
    edges = _lag_edges(dataset.n_frames)
    binned = np.add.reduceat(sums.lag[:, 1:], edges - 1, axis=1)
    count = np.add.reduceat(sums.lag_count[:, 1:], edges - 1, axis=1)
    score = _scores(binned, count, variance[:, None])
    a, k = np.unravel_index(int(np.abs(score).argmax()), score.shape)
    place = f"{dataset.place(int(a))}, lag {dataset.dt * edges[k]:.3g} s"
    bins = _test("lag bins", place, score, count, n_pairs, equal=True)
    each = _scores(sums.lag[:, 1:], sums.lag_count[:, 1:], variance[:, None])
    score, total = _pooled(each, sums.lag_count[:, 1:])
    place = f"lag {dataset.dt * (int(np.abs(score).argmax()) + 1):.3g} s"
    return [bins, _test("means of single lags", place, score, total, n_pairs)]


def _neighbour_pattern(sums: _Sums) -> Pattern:
    correlation = float(sums.products / max(sums.product_count, 1.0))
    p = float(2.0 * special.ndtr(-abs(correlation) * np.sqrt(sums.product_count)))
    return Pattern("neighbouring pairs", correlation, p, "")


def check_residuals(residuals: Residuals) -> CheckResult:
    """Check that residuals show no systematic pattern."""
    n = residuals.dataset.n_frames
    if n < _MIN_FRAMES:
        reason = f"{n} frames are too few to see a pattern ({_MIN_FRAMES} needed)"
        return CheckResult("residuals", "n/a", None, AMPLITUDE_LIMIT, reason)
    *patterns, neighbours = find_patterns(residuals)
    limit = FALSE_ALARM / _N_TESTS
    significant = [p for p in patterns if p.p_value < limit]
    if significant:
        # The noise of the coarsest test is the smallest, so it knows best where the pattern is.
        largest = max(p.amplitude for p in significant)
        coarsest = [p for p in significant if p.amplitude >= 0.7 * largest][-1]
        return _pattern_result(replace(coarsest, amplitude=largest))
    likely = min(patterns, key=lambda p: p.p_value)
    chance = min(1.0, likely.p_value * len(patterns))
    if neighbours.p_value < limit:
        return CheckResult(
            "residuals",
            "warn",
            likely.amplitude,
            AMPLITUDE_LIMIT,
            f"no pattern over the map, but neighbouring residuals are correlated "
            f"({neighbours.amplitude:+.2g}): the noise is not white",
            "the uncertainties assume independent pairs; take them as lower limits",
        )
    return CheckResult(
        "residuals",
        "pass",
        likely.amplitude,
        AMPLITUDE_LIMIT,
        f"no pattern beyond white noise (chance {chance:.2g}; most unusual: {likely.kind})",
    )


def _pattern_result(worst: Pattern) -> CheckResult:
    fails = worst.amplitude >= AMPLITUDE_LIMIT
    advice = (
        "see the residual maps: the model, its convention, a bad frame range or a local minimum "
        "leaves this behind; refit from another start or mask what is not sample"
        if fails
        else "small, but more than noise: the true errors may exceed the stated uncertainties"
    )
    return CheckResult(
        "residuals",
        "fail" if fails else "warn",
        worst.amplitude,
        AMPLITUDE_LIMIT,
        f"pattern of {worst.amplitude:.2g} sigma in {worst.kind}, {worst.place}",
        advice,
    )
