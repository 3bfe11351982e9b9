"""The parts of the scan for lobes, each against loops and plain regressions."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.checks import lobe_scan
from homodyne_cli.core.checks.lobe_scan import (
    LobeScan,
    View,
    _best_chi2,
    _compare,
    _decays,
    _lag,
    _Pairs,
    _pairs,
    _Profile,
    _profile,
    _strain,
    _stretches,
    look_again,
    scan_lobes,
)
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.dataset import FloatArray
from tests.support.datasets import make_dataset

RNG = np.random.default_rng(4)


def plain_chi2(template: FloatArray, weight: FloatArray, y: FloatArray) -> float:
    """Chi2 of offset and a contrast that is not negative."""
    root = np.sqrt(weight)
    best = np.inf
    for columns in ([np.ones(len(y)), template], [np.ones(len(y))]):
        x = np.stack(columns, axis=1) * root[:, None]
        values = np.linalg.lstsq(x, y * root, rcond=None)[0]
        if len(values) == 1 or values[1] > 0.0:
            best = min(best, float(np.sum((x @ values - y * root) ** 2)))
    return best


def test_the_best_template_is_that_of_plain_regressions() -> None:
    """Of templates none of which may be turned upside down; a constant one explains nothing."""
    x = np.linspace(0.0, 1.0, 15)
    templates = np.array([np.ones(15), np.exp(-3.0 * x), x, x**2, np.sin(9.0 * x)])
    weight = RNG.uniform(0.5, 20.0, (4, 15))
    y = np.array([1.0 + 0.3 * np.exp(-3.0 * x), 2.0 - x, 1.0 + x**2, -templates[1]])
    y += 0.05 * RNG.standard_normal(y.shape)
    chi2, best = _best_chi2(templates, weight, y)
    for a in range(4):
        each = [plain_chi2(template, weight[a], y[a]) for template in templates]
        assert chi2[a] == pytest.approx(min(each), rel=1e-9)
        assert best[a] == int(np.argmin(each))
    # None but what falls, to data that rise: their scatter stays.
    rising = _best_chi2(templates[:2], weight[1:2], 2.0 - y[:1])[0][0]
    scatter = (2.0 - y[0]) - np.average(2.0 - y[0], weights=weight[1])
    assert rising == pytest.approx(np.sum(weight[1] * scatter**2))


def family(x: FloatArray, phase: FloatArray, power: int, kind: str) -> list[FloatArray]:
    decays = [np.ones(len(x))]
    times = [x[-1] / 100.0 * 200.0 ** (k / 9.0) for k in range(10)]
    decays += [np.exp(-x / time) for time in times]
    decays += [np.exp(-((x / time) ** 0.5)) for time in times]
    factors = []
    for h in phase:
        s, mean = np.sinc(h / np.pi) ** power, {2: 0.5, 4: 0.375}[power]
        if kind == "cut":
            s = np.where(h < np.pi, s, 0.0)
        elif kind == "levelled":
            inside = (h < 0.5 * np.pi) | ((h < np.pi) & (np.sin(h) ** power > mean))
            s = np.where(inside, s, mean / h**power)
        factors.append(s)
    return [s * decay for s in factors for decay in decays]


@pytest.mark.parametrize("power", [2, 4])
@pytest.mark.parametrize("noise", [0.001, 0.03])
def test_gain_and_rate_are_those_of_all_curves_tried(power: int, noise: float) -> None:
    """Chi2 with lobes over its degrees of freedom, at least 1, is the unit of gains."""
    # Phases end where bins get too wide, or at sixty lobes.
    first, top = (0.02, 50.0) if noise < 0.01 else (0.01, 60.0)
    x = np.geomspace(first, 4.0, 26)
    rates = np.array([1.3 * (top / 1.3) ** (k / 59.0) for k in range(60)]) * np.pi / 4.0
    mean = 1.1 + 0.3 * np.exp(-x / 3.0) * np.sinc(rates[20] * x / np.pi) ** power
    mean = np.stack([mean, 1.1 + 0.3 * np.exp(-x)]) + noise * RNG.standard_normal((2, 26))
    weight = np.full((2, 26), 1e4)
    gain, rho = _compare(_Profile(x, mean, weight), power)
    if noise < 0.01:
        assert rho[0] == pytest.approx(rates[20])
    for a in range(2):
        chi2 = {
            kind: [plain_chi2(t, weight[a], mean[a]) for t in family(x, phase, power, kind)]
            for kind, phase in {
                "lobed": rates[:, None] * x, "cut": rates[:, None] * x,
                "levelled": rates[:, None] * x, "none": 0.0 * x[None],
            }.items()
        }  # fmt: skip
        lobes = min(chi2["lobed"])
        smooth = min(*chi2["cut"], *chi2["levelled"], *chi2["none"])
        assert gain[a] == pytest.approx((smooth - lobes) / max(1.0, lobes / 22.0), rel=1e-6)
        assert rho[a] == pytest.approx(rates[int(np.argmin(chi2["lobed"])) // 21])


def test_decays_cover_two_decades_up_to_twice_the_range() -> None:
    x = np.array([0.5, 1.0, 5.0])
    decays = _decays(x)
    assert decays.shape == (21, 3)
    np.testing.assert_allclose(decays, family(x, np.zeros((1, 3)), 2, "lobed"))


def test_profiles_are_means_over_bins_of_six_percent() -> None:
    strain = RNG.uniform(0.1, 1.5, 400)
    maps, keep = RNG.standard_normal((2, 400)), np.ones((2, 400), dtype=bool)
    keep[1, ::3] = False
    maps = np.where(keep, maps, 0.0)
    sigma = np.array([0.5, 0.2])
    profile = _profile(strain, maps, keep, sigma)
    assert profile is not None
    bins = np.array([int(np.log(x / strain.min()) / np.log(1.06)) for x in strain])
    used = sorted(set(bins.tolist()))
    assert len(profile.x) == len(used)
    for place, k in enumerate(used):
        assert profile.x[place] == pytest.approx(strain[bins == k].mean())
        for a in range(2):
            values = maps[a][(bins == k) & keep[a]]
            assert profile.weight[a, place] == pytest.approx(len(values) / sigma[a] ** 2)
            if len(values):
                assert profile.mean[a, place] == pytest.approx(values.mean())


@pytest.mark.parametrize(("bins", "enough"), [(11, False), (12, True)])
def test_a_profile_has_a_dozen_bins(bins: int, enough: bool) -> None:
    strain = np.array([0.3 * 1.06 ** (k + 0.5 * (k > 0)) for k in range(bins)])
    one = np.ones((1, bins))
    assert (_profile(strain, one, one > 0, np.ones(1)) is not None) == enough


def test_a_profile_has_no_more_than_ninety_bins() -> None:
    """And the largest strain is on the far edge of the last."""
    strain = np.geomspace(1e-4, 10.0, 5000)
    one = np.ones((1, 5000))
    profile = _profile(strain, one, one > 0, np.ones(1))
    assert profile is not None
    assert len(profile.x) in (90, 91)


@pytest.mark.parametrize("exponent", [-1.0, -0.7, 0.0, 0.5])
def test_strain_grows_by_a_power_of_time(exponent: float) -> None:
    t = np.linspace(0.5, 4.0, 101)
    strain = _strain(t, exponent)
    np.testing.assert_allclose(np.gradient(strain, t)[1:-1], t[1:-1] ** exponent, rtol=4e-3)
    # A phase of pi, at the rate of the middle frame.
    assert _lag(t, exponent, 2.5) * 2.5 * t[50] ** exponent == pytest.approx(np.pi)


@pytest.mark.parametrize(
    ("n", "stretches"),
    [
        (200, [(0, 200), (30, 100), (80, 200)]),
        (56, [(0, 56), (8, 28), (22, 56)]),
        (54, [(0, 54), (21, 54)]),
        (20, [(0, 20)]),
        (19, []),
    ],
)
def test_stretches_have_twenty_frames(n: int, stretches: list[tuple[int, int]]) -> None:
    slices = _stretches(make_dataset(n, 1))
    assert [(stretch.start, stretch.stop) for stretch in slices] == stretches


@pytest.mark.parametrize(("most", "step"), [(45, 1), (44, 2), (15, 3)])
def test_pairs_of_a_stretch(most: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the fit are where the data are."""
    monkeypatch.setattr(lobe_scan, "_MAX_PAIRS", most)
    data = make_dataset(20, 2, masked=200)
    fit = Residuals(data, RNG.standard_normal((2, 20, 20)), np.ones(2))
    stretch = slice(5, 15)
    each = [(i, j) for i in range(5, 15) for j in range(i + 1, 15)][::step]
    for replacement, maps in ((None, data.array), (fit, np.asarray(fit.fitted))):
        pairs = _pairs(data, stretch, replacement)
        np.testing.assert_array_equal(pairs.t, data.t[5:15])
        assert list(zip(pairs.first + 5, pairs.second + 5, strict=True)) == each
        for a in range(2):
            known = [np.isfinite(data.array[a, i, j]) for i, j in each]
            assert pairs.keep[a].tolist() == known
            values = [maps[a, i, j] if k else 0.0 for (i, j), k in zip(each, known, strict=True)]
            np.testing.assert_allclose(pairs.data[a], values)


def test_what_was_never_looked_at_has_no_lobes() -> None:
    data = make_dataset(30, 1)
    fit = Residuals(data, data.array, np.ones(1))
    scan = look_again(fit, LobeScan(0.0, 1.0, "there", None))
    assert (scan.gain, scan.place, scan.has_lobes) == (0.0, "there", False)
    # A strain of four frames has no dozen of bins.
    short = View(slice(0, 4), 0.0, 2, 0)
    assert look_again(fit, LobeScan(50.0, 1.0, "there", short)).gain == 0.0


def test_lobes_lower_chi2_by_thirty() -> None:
    assert not LobeScan(30.0, 1.0, "", None).has_lobes
    assert LobeScan(30.1, 1.0, "", None).has_lobes


@pytest.mark.parametrize("best", [("whole", -1.0, 2), ("early", -0.7, 4), ("late", 0.5, 2)])
def test_the_view_with_most_gain_over_all_angles_is_kept(
    best: tuple[str, float, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five exponents in three stretches and both powers."""
    data = make_dataset(100, 2)
    looks: list[tuple[str, float, int]] = []
    starts = {0: "whole", 15: "early", 40: "late"}

    def profile(pairs: _Pairs, exponent: float, _: object) -> tuple[str, float] | None:
        start = int(np.flatnonzero(data.t == pairs.t[0])[0])
        return None if exponent == 0.0 and start == 40 else (starts[start], exponent)

    def compare(view: tuple[str, float], power: int) -> tuple[FloatArray, FloatArray]:
        looks.append((*view, power))
        # The other angle has more in each of the others, but less of both.
        gains = [20.0, 35.0] if looks[-1] == best else [5.0, 49.0]
        return np.array(gains), np.array([2.0, 3.0])

    monkeypatch.setattr(lobe_scan, "_strain_profile", profile)
    monkeypatch.setattr(lobe_scan, "_compare", compare)
    scan = scan_lobes(data, np.ones(2), (2, 4))
    expected = [
        (stretch, exponent, power)
        for stretch in ("whole", "early", "late")
        for exponent in (-1.0, -0.7, -0.4, 0.0, 0.5)
        for power in (2, 4)
        if (stretch, exponent) != ("late", 0.0)
    ]
    assert looks == expected
    stretch = {"whole": slice(0, 100), "early": slice(15, 50), "late": slice(40, 100)}[best[0]]
    assert scan.view == View(stretch, best[1], best[2], 1)
    assert (scan.gain, scan.place) == (55.0, data.place(1))
    middle = data.t[stretch][(stretch.stop - stretch.start) // 2]
    assert scan.lag == pytest.approx(np.pi / 3.0 / middle ** best[1])
    monkeypatch.setattr(lobe_scan, "_compare", lambda *_: (np.zeros(2), np.ones(2)))
    assert scan_lobes(data, np.ones(2), (2,)).view is None
    # A later look is at the same angle, though another one has more there.
    other = np.array([9.0, 1.0]), np.array([2.0, 5.0])
    monkeypatch.setattr(lobe_scan, "_compare", lambda *_: other)
    later = look_again(Residuals(data, data.array, np.ones(2)), scan)
    assert (later.gain, later.place, later.view) == (10.0, scan.place, scan.view)
    assert later.lag == pytest.approx(0.6 * scan.lag)
