"""False alarms and power of `verify`; benchmarks/verify_calibration.py is the long version."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.checks.checklist import run_checks
from homodyne_cli.core.checks.lobe_scan import GAIN_LIMIT, scan_lobes
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.residuals import AMPLITUDE_LIMIT, check_residuals, find_patterns
from homodyne_cli.dataset import Dataset, FloatArray
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs


def test_good_fits_pass() -> None:
    """At least 95 of 100 must; these five all do."""
    for seed in range(5):
        data = make_dataset(200, 5, seed=100 + seed, spread=0.05, noise=0.02)
        inputs = fitted_inputs(data, make_problem(start=tuple(1.05 * PUBLISHED)))
        failed = [r.message for r in run_checks(inputs) if r.status == "fail"]
        assert failed == []


def test_white_noise_passes_and_p_values_are_uniform() -> None:
    data = make_dataset(64, 3)
    rng = np.random.default_rng(0)
    nothing = np.zeros_like(data.c2)
    passed = 0
    p_values: dict[str, list[float]] = {}
    for _ in range(300):
        noise: FloatArray = rng.standard_normal(nothing.shape)
        noisy = replace(data, c2=noise)
        passed += check_residuals(Residuals(noisy, nothing, np.ones(3))).status == "pass"
        for p in find_patterns(Residuals(noisy, nothing, np.ones(3))):
            p_values.setdefault(p.kind, []).append(p.p_value)
    assert passed >= 297
    # 5% +- 3.8 standard deviations.
    share = {kind: float(np.mean(np.array(p) < 0.05)) for kind, p in p_values.items()}
    assert len(share) == 7
    assert all(abs(s - 0.05) < 0.048 for s in share.values()), share
    # Uniform on 0 to 1: their mean to 4 standard deviations.
    means = {kind: float(np.mean(p)) for kind, p in p_values.items()}
    assert all(abs(m - 0.5) < 4.0 / np.sqrt(12.0 * 300) for m in means.values()), means


@pytest.mark.parametrize("kind", ["map", "age", "lag", "one angle"])
def test_smooth_pattern_of_a_third_of_sigma_fails_at_full_size(kind: str) -> None:
    n_phi, n = 23, 1000
    rng = np.random.default_rng(3)
    c2 = rng.standard_normal((n_phi, n, n), dtype=np.float32)
    x = np.linspace(0.0, 1.0, n, dtype=np.float32)
    wave = np.sin(6 * np.pi * x)
    pattern = {
        "map": wave[:, None] * wave[None, :],
        "age": wave[:, None],
        "lag": np.sin(6 * np.pi * (x[None, :] - x[:, None])),
        "one angle": np.outer(np.ones_like(x), 4.0 * wave),
    }[kind]
    reached = slice(7, 8) if kind == "one angle" else slice(None)
    c2[reached] += np.float32(0.3) * pattern.astype(np.float32)
    phi, t = np.arange(n_phi, dtype=float), np.linspace(0.1, 100.0, n)
    data = Dataset(c2, phi, t, np.full(len(phi), 0.0054), 2e6, 0.1, None, {})
    result = check_residuals(Residuals(data, np.zeros_like(c2), np.ones(n_phi)))
    assert result.status == "fail"
    assert result.value is not None
    assert result.value > AMPLITUDE_LIMIT


def test_smooth_decays_have_no_lobes() -> None:
    weak = np.array([1.0, 1.0, 1.0, 0.01, 1.0, 0.01, 1.0])
    gains = []
    for seed in range(3):
        truth = PUBLISHED * weak
        truth[:2] = [(3e3, -0.4), (1e4, -0.9), (2e3, 0.4)][seed]
        data = make_dataset(200, 5, seed=seed, parameters=truth)
        gains.append(scan_lobes(data, np.full(5, 0.06), (2, 4)).gain)
    assert max(gains) < 0.3 * GAIN_LIMIT
