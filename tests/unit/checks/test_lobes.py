"""Shear lobes as the checks measure them, against rates that are known in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.checks.lobe_scan import _levelled, look_again, scan_lobes
from homodyne_cli.core.checks.oscillations import find_lobes
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.pair_model import fitted_maps
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES, Convention
from homodyne_cli.results import FitRecord, Solution
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

PHI = np.array([2.0, 40.0, 75.0])


def sheared(rate: float, exponent: float) -> FloatArray:
    """Diffusion as of `RESOLVED` under a shear rate that is a pure power of time."""
    return np.array([*RESOLVED[:3], rate, exponent, 0.0, 2.0])


def phase_rate(data: Dataset, truth: FloatArray, angle: int, time: float) -> float:
    """Radians per second that h = q L cos(phi0 - phi) strain / 2 grows by at a time."""
    across = np.cos(np.deg2rad(truth[6] - data.phi[angle]))
    return float(0.5 * data.q[angle] * 2e6 * abs(across) * truth[3] * time ** truth[4])


@pytest.mark.parametrize("exponent", [-1.0, -0.4, 0.0, 0.5])
def test_the_scan_reads_the_shear_rate_off_the_data(exponent: float) -> None:
    """Lag of the first zero at the middle of the stretch: rates are tried 7% apart."""
    truth = sheared(1.0e-3 * 10.0 ** -max(exponent, 0.0), exponent)
    data = make_dataset(160, 3, parameters=truth, phi=PHI, noise=0.02)
    scan = scan_lobes(data, np.full(3, 0.02), (2,))
    assert scan.has_lobes
    assert scan.view is not None
    assert scan.view.exponent == exponent
    assert scan.place == data.place(scan.view.angle)
    t = data.t[scan.view.stretch]
    rate = phase_rate(data, truth, scan.view.angle, float(t[len(t) // 2]))
    assert scan.lag == pytest.approx(np.pi / rate, rel=0.08)
    # A look at the truth itself, in the same way, reads the same.
    maps = fitted_maps(data, truth, np.full(3, 0.3017), np.full(3, 1.106), "he2024")
    again = look_again(Residuals(data, maps, np.full(3, 0.02)), scan)
    assert again.lag == pytest.approx(scan.lag, rel=0.08)
    assert again.gain > 0.5 * scan.gain


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
def test_a_map_holds_the_lobes_of_its_parameters(convention: Convention) -> None:
    """All of them, at the lags and phases of closed forms, for either shear factor."""
    truth = sheared(1e-3 if convention == "he2024" else np.pi * 1e-3, -0.25)
    data = make_dataset(120, 3, parameters=truth, phi=PHI, noise=0.02, convention=convention)
    scaling = np.full(3, 0.3017), np.full(3, 1.106)
    solution = Solution(dict(zip(NAMES, truth.tolist(), strict=True)), *scaling)
    run = StoredRun(make_problem(convention=convention), data, solution, FitRecord())
    maps = fitted_maps(data, truth, *scaling, convention)
    lobes = find_lobes(run, Residuals(data, maps, np.full(3, 0.02)))
    # Of the map divided into bins of 0.25 rad, over which means and products differ.
    assert lobes.in_fit == pytest.approx(1.0, abs=0.02)
    # The angle nearest to the flow has the largest phase; sinc^4 is of q L strain / 2 pi.
    assert lobes.place == data.place(0)
    t = data.t
    strain = 1e-3 / 0.75 * t**0.75
    phase = 0.5 * 0.0054 * 2e6 * (strain - strain[0])
    assert lobes.max_phase == pytest.approx(phase[-1], rel=5e-3)
    first = np.flatnonzero(phase - phase[60] >= np.pi)[0]
    assert lobes.lag == pytest.approx(t[first] - t[60], abs=1.01 * data.dt)


def decaying(lobed: bool, rate: float, decay: float, sigma: float) -> Dataset:
    """Maps of steady flow and an exponential decay; without lobes sinc^2 goes on as 1 / 2 h^2."""
    data = make_dataset(160, 3, noise=0.0)
    lag = np.abs(data.t[:, None] - data.t)
    h = rate * lag
    s = np.sinc(h / np.pi) ** 2
    if not lobed:
        # They meet where sin^2 is 1/2.
        s = np.where(h < 0.75 * np.pi, s, 0.5 / np.maximum(h, 1.0) ** 2)
    noise = sigma * np.random.default_rng(0).standard_normal(data.c2.shape)
    return replace(data, c2=1.1 + 0.3 * np.exp(-decay * lag) * s + noise)


@pytest.mark.parametrize("decay", [0.1, 0.4])
def test_a_factor_whose_lobes_are_washed_out_is_smooth(decay: float) -> None:
    scans = [
        scan_lobes(decaying(lobed, 6.0, decay, 0.01), np.full(3, 0.01), (2,))
        for lobed in (False, True)
    ]
    assert scans[0].gain < 1.0
    assert scans[1].has_lobes
    assert scans[1].lag == pytest.approx(np.pi / 6.0, rel=0.08)


def test_lobes_on_an_exponential_are_seen_as_well_as_noise_allows() -> None:
    """Five times less noise is 25 times the chi2; bins and decays that are tried cost a half."""
    gains = [
        scan_lobes(decaying(True, 1.0, 0.1, sigma), np.full(3, sigma), (2,)).gain
        for sigma in (0.02, 0.004)
    ]
    assert gains[1] > 8.0 * gains[0]


@pytest.mark.parametrize("power", [2, 4])
def test_washed_out_lobes_go_on_as_their_mean_from_where_they_meet_it(power: int) -> None:
    """S before, and beyond it as much as S h^power has over its periods."""
    h = np.linspace(1e-3, 12.0 * np.pi, 200_001)
    washed, lobed = _levelled(h, power), np.sinc(h / np.pi) ** power
    mean = np.mean((lobed * h**power)[h > 2.0 * np.pi])
    # Between pi / 2 and pi S h^power falls from one to zero.
    meets = h[np.flatnonzero((np.sin(h) ** power < mean) & (h > 0.5 * np.pi))[0]]
    before, beyond = h < meets - 1e-3, h > meets + 1e-3
    np.testing.assert_allclose(washed[before], lobed[before], atol=1e-12)
    np.testing.assert_allclose((washed * h**power)[beyond], mean, rtol=1e-4)
