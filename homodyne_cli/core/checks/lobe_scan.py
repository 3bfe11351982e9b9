r"""Whether the data have shear lobes, whatever shear the fit found.

Pairs of a stretch of frames are averaged in bins of strain x = G_b(t_j) - G_b(t_i) for several
exponents b of the shear rate; a shear rate near t^b makes the profile of every angle

    offset + contrast * E(x) * S(rho x)

with E a smooth decay. For every angle the best such curve with lobes is compared with the best
without: S cut off at its first zero, or continued by the mean of its lobes. Both are searched
over the same rho and the same decays (exponential and stretched), so chi2 has no reason to prefer
lobes unless the data show them. Gains are summed over angles, as every angle's rho is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.pair_model import sinc
from homodyne_cli.dataset import Dataset, FloatArray

#: Chi2 by which lobes must beat the best smooth curve, all angles together. Smooth data reach
#: 1 in none of 200 simulations; lobes that the eye sees in a profile reach 100.
GAIN_LIMIT = 30.0
#: Exponents of the shear rate that are tried: few, because over a stretch of the window one power
#: law is close to another.
_EXPONENTS = (-1.0, -0.7, -0.4, 0.0, 0.5)
#: Stretches of frames, as fractions of the window: a power law with an offset is close to a pure
#: power law over part of the window.
_STRETCHES = ((0.0, 1.0), (0.15, 0.5), (0.4, 1.0))
#: Bins of strain, geometric, fine enough to resolve the fifth lobe; at most so many of them.
_BIN_RATIO = 1.06
_MAX_BINS = 90
#: Fewer frames than this make no profile with lobes.
_MIN_FRAMES = 20
#: Phases between which the largest strain may lie, in units of pi; the upper limit keeps the
#: first lobes resolved.
_FIRST_PHASE, _LAST_PHASE = 1.3, 60.0
#: Rates tried between them, 7% apart: about the width of a bin.
_RATES = 60
#: Pairs of a stretch per angle; of more, every second (third, ...) is taken.
_MAX_PAIRS = 250_000


@dataclass(frozen=True)
class View:
    """How a scan looked: frames, exponent of the strain, power of sinc, index of the angle."""

    stretch: slice
    exponent: float
    power: int
    angle: int


@dataclass(frozen=True)
class LobeScan:
    """What the scan found.

    Attributes
    ----------
    gain
        Chi2 by which lobes beat the best smooth curve, in the stretch where they do so most.
    lag
        Seconds from the middle of that stretch to the first zero of S, at the angle that shows
        lobes best.
    place
        Which angle that is.
    view
        How it looked there; None if it never saw lobes.
    """

    gain: float
    lag: float
    place: str
    view: View | None

    @property
    def has_lobes(self) -> bool:
        """Whether the data have lobes."""
        return self.gain > GAIN_LIMIT


def _lobed(h: FloatArray, power: int) -> FloatArray:
    return sinc(h) ** power


def _cut(h: FloatArray, power: int) -> FloatArray:
    return np.where(h < np.pi, _lobed(h, power), 0.0)


def _levelled(h: FloatArray, power: int) -> FloatArray:
    """Return S continued by the mean of its lobes from where the two meet."""
    mean = {2: 0.5, 4: 0.375}[power]
    crossover = np.pi - np.arcsin(mean ** (1.0 / power))
    return np.where(h < crossover, _lobed(h, power), mean / np.maximum(h, crossover) ** power)


def _decays(x: FloatArray) -> FloatArray:
    """Return (decays, bins): none, exponential and stretched ones over the range of x."""
    rate = 1.0 / np.geomspace(x[-1] / 100.0, 2.0 * x[-1], 10)
    plain = np.exp(-rate[:, None] * x)
    stretched = np.exp(-np.sqrt(rate[:, None] * x))
    return np.vstack([np.ones((1, len(x))), plain, stretched])


def _best_chi2(
    templates: FloatArray, weight: FloatArray, y: FloatArray
) -> tuple[FloatArray, np.ndarray]:
    """Return the smallest chi2 of offset + contrast * template, and which template, per angle.

    Parameters
    ----------
    templates
        (m, bins).
    weight, y
        (n_phi, bins) inverse variances and values.
    """
    total = weight.sum(axis=1)
    mean = (weight * y).sum(axis=1) / total
    centred = weight * (y - mean[:, None])
    scatter = (centred * (y - mean[:, None])).sum(axis=1)
    level = templates @ weight.T / total
    power = (templates**2) @ weight.T - total * level**2
    cross = templates @ centred.T
    # A contrast is positive: a template turned upside down is not a decay.
    gain = np.where(
        (power > 1e-12 * total) & (cross > 0), cross**2 / np.maximum(power, 1e-300), 0.0
    )
    best = gain.argmax(axis=0)
    return scatter - gain.max(axis=0), best


def _strain(t: FloatArray, exponent: float) -> FloatArray:
    if exponent == -1.0:
        return np.log(t)
    return np.asarray(t ** (exponent + 1.0) / (exponent + 1.0))


@dataclass(frozen=True)
class _Profile:
    """Data averaged over bins of strain: (bins,), then (n_phi, bins)."""

    x: FloatArray
    mean: FloatArray
    weight: FloatArray


def _profile(
    strain: FloatArray, maps: np.ndarray, keep: np.ndarray, sigma: FloatArray
) -> _Profile | None:
    """Average (n_phi, pairs) data of pairs with (pairs,) strain; None if too few bins remain."""
    lowest, highest = float(strain.min()), float(strain.max())
    ratio = max(_BIN_RATIO, (highest / lowest) ** (1.0 / _MAX_BINS))
    index = (np.log(strain / lowest) / np.log(ratio)).astype(np.intp)
    bins = int(index.max()) + 1
    total = np.bincount(index, minlength=bins)
    x = np.bincount(index, strain, bins) / np.maximum(total, 1)
    mean, weight = np.zeros((2, len(maps), bins))
    for a, (y, used) in enumerate(zip(maps, keep, strict=True)):
        count = total if used.all() else np.bincount(index, used, bins)
        mean[a] = np.bincount(index, y, bins) / np.maximum(count, 1)
        weight[a] = count / sigma[a] ** 2
    filled = total > 0
    if filled.sum() < 12:
        return None
    return _Profile(x[filled], mean[:, filled], weight[:, filled])


def _compare(profile: _Profile, power: int) -> tuple[FloatArray, FloatArray]:
    """Return gain of lobes (n_phi,) and the best rho (n_phi,)."""
    x = profile.x
    top = min(_LAST_PHASE, 0.25 * x[-1] / x[0])
    rho = np.geomspace(_FIRST_PHASE, max(top, 1.5 * _FIRST_PHASE), _RATES) * np.pi / x[-1]
    phase = rho[:, None] * x
    decays = _decays(x)

    def family(s: FloatArray) -> FloatArray:
        return (s[:, None] * decays).reshape(-1, len(x))

    lobes, best = _best_chi2(family(_lobed(phase, power)), profile.weight, profile.mean)
    smooth = np.min(
        [
            _best_chi2(family(s), profile.weight, profile.mean)[0]
            for s in (_cut(phase, power), _levelled(phase, power), np.ones((1, len(x))))
        ],
        axis=0,
    )
    freedom = max(len(x) - 4, 1)
    # Noise that is correlated between pairs, or misfit of both, must not count as evidence.
    return (smooth - lobes) / np.maximum(1.0, lobes / freedom), rho[best // len(decays)]


def _stretches(dataset: Dataset) -> Iterator[slice]:
    n = dataset.n_frames
    for first, last in _STRETCHES:
        stretch = slice(int(first * n), int(last * n))
        if stretch.stop - stretch.start >= _MIN_FRAMES:
            yield stretch


@dataclass(frozen=True)
class _Pairs:
    """Pairs of a stretch: (pairs,) frame indices, (n_phi, pairs) data (0 if masked) and masks."""

    t: FloatArray
    first: np.ndarray
    second: np.ndarray
    data: np.ndarray
    keep: np.ndarray


def _pairs(dataset: Dataset, stretch: slice, replacement: Residuals | None = None) -> _Pairs:
    """Read pairs of the data, or those of a fit where there are data."""
    t = dataset.t[stretch]
    i, j = np.triu_indices(len(t), 1)
    step = -(-len(i) // _MAX_PAIRS)
    i, j = i[::step], j[::step]
    at = i + stretch.start, j + stretch.start
    data = np.array([dataset.pairs(a, *at) for a in range(dataset.n_phi)])
    keep = np.isfinite(data)
    if replacement is not None:
        data = np.array([replacement.fit_at(a, *at) for a in range(dataset.n_phi)])
    return _Pairs(t, i, j, np.where(keep, data, 0.0).astype(float), keep)


def _strain_profile(pairs: _Pairs, exponent: float, sigma: FloatArray) -> _Profile | None:
    strain = _strain(pairs.t, exponent)
    return _profile(strain[pairs.second] - strain[pairs.first], pairs.data, pairs.keep, sigma)


def _lag(t: FloatArray, exponent: float, rho: float) -> float:
    """Return the lag of the first zero at the middle of a stretch."""
    return float(np.pi / rho / t[len(t) // 2] ** exponent)


def scan_lobes(dataset: Dataset, sigma: FloatArray, powers: tuple[int, ...]) -> LobeScan:
    """Search the data for shear lobes.

    Parameters
    ----------
    sigma
        (n_phi,) noise per c2 value.
    powers
        Forms of S = sinc^power to look for: 2, 4 or both.
    """
    best = LobeScan(0.0, float("nan"), "", None)
    for stretch in _stretches(dataset):
        pairs = _pairs(dataset, stretch)
        for exponent in _EXPONENTS:
            profile = _strain_profile(pairs, exponent, sigma)
            if profile is None:
                continue
            for power in powers:
                gain, rho = _compare(profile, power)
                if gain.sum() > best.gain:
                    a = int(gain.argmax())
                    lag = _lag(pairs.t, exponent, float(rho[a]))
                    view = View(stretch, exponent, power, a)
                    best = LobeScan(float(gain.sum()), lag, dataset.place(a), view)
    return best


def look_again(residuals: Residuals, scan: LobeScan) -> LobeScan:
    """Look at a fit just as the best view of an earlier scan did at the data."""
    view = scan.view
    profile = None
    if view is not None:
        pairs = _pairs(residuals.dataset, view.stretch, replacement=residuals)
        profile = _strain_profile(pairs, view.exponent, residuals.sigma)
    if view is None or profile is None:
        return LobeScan(0.0, float("nan"), scan.place, view)
    gain, rho = _compare(profile, view.power)
    lag = _lag(pairs.t, view.exponent, float(rho[view.angle]))
    return LobeScan(float(gain.sum()), lag, scan.place, view)
