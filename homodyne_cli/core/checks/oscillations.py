r"""Whether side lobes of the shear factor are where they should be, in the fit and in the data.

S = sinc(h)^power with h = scale kappa dG touches zero at h = pi, 2 pi, ... and rises to a lobe
in between. Beyond the first zero S is a smooth mean plus an oscillation,

    sinc^2 = [1 - cos 2h] / 2h^2        sinc^4 = [3 - 4 cos 2h + cos 4h] / 8h^4

and a matched filter measures how much of the oscillation that the fit predicts is in a map:
averaged in bins of h, the map is fitted by contrast E times the oscillation, beside a constant, E
and E times the mean, which take up what is smooth. An amplitude near 1 means that the lobes are
there, at the lags where they should be; near 0 that they are not. So does a pattern that this
fit leaves over, if it is larger than the lobes themselves.

Errors are those of white noise. That of speckles is common to many bins: what is left over then
says how much larger errors are, and whether there is a pattern in it is for the tests of
`residuals` to say, which know that noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks.lobe_scan import LobeScan, look_again, scan_lobes
from homodyne_cli.core.checks.residual_maps import Band, Residuals
from homodyne_cli.core.model.curves import SHEAR_FACTORS, model_curves
from homodyne_cli.dataset import Dataset, FloatArray

#: Lobes that the fit predicts are visible if their amplitude can be measured to 1 part in this.
#: The limits below are then 4 standard deviations away from 1.
VISIBLE = 8.0
#: Share of the predicted lobes that the data and the fitted map must show.
SHARE_LIMIT = 0.5
#: And must not exceed; the same distance from 1 on a logarithmic scale.
_EXCESS_LIMIT = 2.0
#: Factor within which the lags of the first zero in data and fit agree.
_LAG_RATIO = 1.3
#: Lobes beyond the fifth are below 1% of the first.
_LAST_PHASE = 6.0 * np.pi
#: Width of a bin of phase: a lobe, pi wide, covers a dozen. Fewer bins than this leave nothing to
#: judge by once the filter has taken its four columns.
_BIN = 0.25
_MIN_BINS = 8
#: Excess of what is left over its expectation, in standard deviations, that says lobes lie
#: elsewhere: a chance of 3e-7 under noise.
_LEFT_SIGMAS = 5.0
_ID = "oscillations"


@dataclass(frozen=True)
class Lobes:
    """The lobes that a fit predicts, and how much of them is there.

    Attributes
    ----------
    max_phase
        Largest h over angles and pairs.
    expected
        Signal to noise with which the data can measure the lobes' amplitude.
    in_data, in_fit
        Amplitude relative to the prediction; NaN where no pair is beyond the first zero.
    misplaced
        Whether the data have a pattern there that is larger than the predicted lobes.
    inflation
        Root of what is left over per bin, at least 1: noise there over white noise.
    lag, place
        Lag of the first zero from the middle of the window (NaN if outside) at the angle with the
        largest phase, and which that is.
    """

    max_phase: float
    expected: float
    in_data: float
    in_fit: float
    misplaced: bool
    inflation: float
    lag: float
    place: str


@dataclass(frozen=True)
class _Curves:
    """(n,) A and G, (n_phi,) q^2 and phase rates scale * kappa, the largest phase of any angle."""

    square: FloatArray
    transport: FloatArray
    strain: FloatArray
    rate: FloatArray
    widest: float


def _curves(run: StoredRun, data: Dataset) -> _Curves:
    gap, convention = data.gap or 0.0, run.problem.convention
    curves = model_curves(data.t, data.phi, data.q, gap, run.solution.vector, convention)
    scale = SHEAR_FACTORS[convention].scale
    return _Curves(
        data.q**2,
        curves.transport,
        curves.strain,
        scale * np.abs(curves.kappa),
        float(scale * data.q.max() * gap * np.ptp(curves.strain)),
    )


def _oscillation(h: FloatArray, power: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and oscillating part of sinc(h)^power beyond its first zero."""
    if power == 2:
        mean = 0.5 / h**2
        return mean, -mean * np.cos(2.0 * h)
    mean = 0.125 / h**4
    return 3.0 * mean, mean * (np.cos(4.0 * h) - 4.0 * np.cos(2.0 * h))


def _angle_filter(columns: FloatArray, sides: FloatArray) -> tuple[float, FloatArray, float]:
    """Regress (2, bins) data and fit on (k, bins) columns, of which the last is looked for.

    Returns
    -------
    information, amount, left
        The last column's sum of squares once the others are projected out, its products with
        the sides (their ratio is the amplitude), and the sum of squares of the data that no
        column explains.
    """
    norm = np.sqrt((columns**2).sum(axis=1, keepdims=True))
    unit = columns / np.maximum(norm, 1e-300)
    q, triangle = np.linalg.qr(unit[:-1].T)
    q = q[:, np.abs(np.diag(triangle)) > 1e-8]
    lobe = (unit[-1] - q @ (q.T @ unit[-1])) * float(norm[-1, 0])
    information = float(lobe @ lobe)
    amount = sides @ lobe
    data = sides[0] - q @ (q.T @ sides[0])
    left = float(data @ data - amount[0] ** 2 / max(information, 1e-300))
    return information, np.asarray(amount), left


def _binned(run: StoredRun, curves: _Curves, a: int, residuals: Residuals) -> FloatArray:
    """Average one angle over bins of h beyond the first zero.

    Returns
    -------
    array
        (6, bins): constant, E, E mean and contrast E wave, then data and fit less the offset;
        all divided by the standard error of the bin.
    """
    sums = np.zeros((6, int((_LAST_PHASE - np.pi) / _BIN) + 1))
    for band in residuals.bands(a):
        sums += _band_sums(run, curves, a, band, sums.shape[1])
    sums = sums[:, sums[0] > 0.0]
    return np.asarray(sums / sums[0] / residuals.amplitude_error(a, sums[0]))


def _band_sums(run: StoredRun, curves: _Curves, a: int, band: Band, bins: int) -> FloatArray:
    """Return (6, bins) sums over the pairs of a band; see `_binned`."""
    strain, transport = curves.strain[band.first :], curves.transport[band.first :]
    h = curves.rate[a] * np.abs(strain - strain[: len(band.keep), None])
    i, j = np.nonzero(band.keep & (h > np.pi) & (h < _LAST_PHASE))
    h = h[i, j]
    decay = np.exp(-curves.square[a] * np.abs(transport[j] - transport[i]))
    mean, wave = _oscillation(h, SHEAR_FACTORS[run.problem.convention].power)
    c, o = run.solution.contrast[a], run.solution.offset[a]
    rows = (decay, decay * mean, c * decay * wave, band.data[i, j] - o, band.fit[i, j] - o)
    index = ((h - np.pi) / _BIN).astype(np.intp)
    count = np.bincount(index, minlength=bins).astype(float)
    return np.array([count, *(np.bincount(index, row, bins) for row in rows)])


def find_lobes(run: StoredRun, residuals: Residuals) -> Lobes:
    """Measure the lobes that a laminar-flow run predicts in the data and in the fitted map."""
    data = residuals.dataset
    curves = _curves(run, data)
    sheared = np.flatnonzero(curves.rate * np.ptp(curves.strain) > np.pi).tolist()
    angles = residuals.each_angle(lambda a: _binned(run, curves, a, residuals), sheared)
    information, amount, left, bins = 0.0, np.zeros(2), 0.0, 0
    for binned in angles:
        if binned.shape[1] < _MIN_BINS:
            continue
        known, matched, rest = _angle_filter(binned[:4], binned[4:])
        information, amount, left = information + known, amount + matched, left + rest
        bins += binned.shape[1] - len(binned[:4])
    in_data, in_fit = (amount / information) if information > 0.0 else (np.nan, np.nan)
    largest = int(curves.rate.argmax())
    return Lobes(
        max_phase=float(curves.rate.max() * np.ptp(curves.strain)),
        expected=float(np.sqrt(information)),
        in_data=float(in_data),
        in_fit=float(in_fit),
        misplaced=bool(left - bins - _LEFT_SIGMAS * np.sqrt(2.0 * bins) > information),
        inflation=float(np.sqrt(max(left / bins, 1.0))) if bins else 1.0,
        lag=_first_zero(data.t, curves.strain * curves.rate[largest]),
        place=data.place(largest),
    )


def _first_zero(t: FloatArray, phase: FloatArray) -> float:
    """Return the lag after the middle frame at which the phase has grown by pi."""
    middle = len(t) // 2
    past_pi = np.flatnonzero(np.abs(phase[middle:] - phase[middle]) >= np.pi)
    return float(t[middle + past_pi[0]] - t[middle]) if len(past_pi) else float("nan")


def check_oscillations(
    run: StoredRun, residuals: Residuals, patterns: CheckResult | None = None
) -> CheckResult:
    """Check that the side lobes are present in the fitted map and in the data.

    Parameters
    ----------
    patterns
        What `residuals` says, where the noise is that of speckles.
    """
    if run.problem.mode == "static":
        return CheckResult(_ID, "n/a", None, None, "static mode has no shear and so no lobes")
    residuals = residuals.with_measured_noise()
    data, sigma = residuals.dataset, residuals.sigma
    lobes = find_lobes(run, residuals)
    explained = patterns is not None and patterns.status == "pass"
    if patterns is not None:
        misplaced = lobes.misplaced and not explained
        lobes = replace(lobes, expected=lobes.expected / lobes.inflation, misplaced=misplaced)
    powers = tuple(sorted({2, SHEAR_FACTORS[run.problem.convention].power}))
    if lobes.expected < VISIBLE:
        scan = scan_lobes(data, sigma, powers)
        return _without_lobes(run, lobes, scan, residuals, explained=explained)
    share_fits = SHARE_LIMIT <= lobes.in_data <= _EXCESS_LIMIT and not lobes.misplaced
    if share_fits and lobes.in_fit >= SHARE_LIMIT:
        return CheckResult(
            _ID,
            "pass",
            lobes.in_data,
            SHARE_LIMIT,
            f"side lobes in data and fit, phases up to {lobes.max_phase:.3g} rad: the data show "
            f"{lobes.in_data:.2f} ± {1.0 / lobes.expected:.2f} of the predicted lobes"
            + _zero_at(lobes.lag, lobes.place),
        )
    return _wrong_lobes(lobes, scan_lobes(data, sigma, powers))


def _zero_at(lag: float, place: str) -> str:
    """Say where the first zero is, after a comma; nothing if it is outside the window."""
    return "" if np.isnan(lag) else f", first zero at a lag of {lag:.3g} s ({place})"


def _wrong_lobes(lobes: Lobes, scan: LobeScan) -> CheckResult:
    share = f"{lobes.in_data:.2f} ± {1.0 / lobes.expected:.2f}"
    if lobes.in_fit < SHARE_LIMIT:
        message = (
            f"the fitted map has {lobes.in_fit:.2f} of the lobes that its parameters predict: "
            "map and parameters do not belong together"
        )
        advice = "refit: the run directory is inconsistent"
    elif lobes.in_data > _EXCESS_LIMIT and not lobes.misplaced:
        message = f"the lobes in the data are {share} times those of the fit"
        advice = "check model.convention and the contrast: the form of the shear factor is wrong"
    else:
        message = (
            f"of the lobes in the fit{_zero_at(lobes.lag, lobes.place)}, the data show {share}"
        )
        if lobes.misplaced:
            message += " and a larger pattern that is not theirs"
        advice = "the shear is wrong: refit from another start (multi_start), or as static"
        if scan.has_lobes:
            message += f"; they have others{_zero_at(scan.lag, scan.place)}"
    return CheckResult(_ID, "fail", lobes.in_data, SHARE_LIMIT, message, advice)


def _without_lobes(
    run: StoredRun, lobes: Lobes, scan: LobeScan, residuals: Residuals, *, explained: bool
) -> CheckResult:
    """Judge a fit whose own lobes are too weak for the matched filter.

    Parameters
    ----------
    explained
        Whether the data hold nothing beyond the fit and its noise.
    """
    not_applicable = _not_applicable(lobes, _curves(run, residuals.dataset).widest)
    if not scan.has_lobes:
        return not_applicable
    in_fit = look_again(residuals, scan)
    share = in_fit.gain / scan.gain
    place = _zero_at(scan.lag, scan.place)
    agrees = abs(np.log(in_fit.lag / scan.lag)) < np.log(_LAG_RATIO) if share > 0.0 else False
    if lobes.max_phase > np.pi and agrees and share >= SHARE_LIMIT:
        message = f"side lobes in data and fit: they lower chi2 by {scan.gain:.3g}{place}"
        return CheckResult(_ID, "pass", share, SHARE_LIMIT, message)
    if explained:
        return not_applicable
    return CheckResult(
        _ID,
        "fail",
        share,
        SHARE_LIMIT,
        f"the data have side lobes that the fit lacks: they lower chi2 by {scan.gain:.3g}{place}",
        "the shear was not fitted: refit with a balanced x_scale or another start (multi_start), "
        "and check model.convention",
    )


def _not_applicable(lobes: Lobes, widest: float) -> CheckResult:
    if lobes.max_phase > np.pi:
        reason = (
            f"phases reach {lobes.max_phase:.3g} rad, but the lobes are below the noise "
            f"(signal to noise {lobes.expected:.2g} of {VISIBLE:g})"
        )
    elif widest > np.pi:
        reason = (
            f"angle set too narrow: phases reach {lobes.max_phase:.3g} rad at "
            f"{lobes.place}, lobes begin at 3.14; along the flow it would be "
            f"{widest:.3g}"
        )
    else:
        reason = (
            f"shear too weak: phases reach {lobes.max_phase:.3g} rad in this window, "
            "lobes begin at 3.14"
        )
    return CheckResult(_ID, "n/a", lobes.expected, VISIBLE, reason)
