"""How often the checks of `verify` complain about good fits, and how long they take.

Run from the top of the repository:

    python -m benchmarks.verify_calibration [--seeds 100] [--frames 200] [--angles 5]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace

import numpy as np

from homodyne_cli.core.checks.checklist import run_checks
from homodyne_cli.core.checks.lobe_scan import scan_lobes
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.residuals import check_residuals
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs

#: Shear that leaves every phase below the first zero: nothing for the lobe scan to find.
_SMOOTH = np.array([1.0, 1.0, 1.0, 0.01, 1.0, 0.01, 1.0])


def good_fits(seeds: int, frames: int, angles: int, noise: float) -> None:
    """Fit simulated data from close to the truth and count what the checks say."""
    count: Counter[tuple[str, str]] = Counter()
    passed, seconds = 0, 0.0
    for seed in range(seeds):
        data = make_dataset(frames, angles, seed=seed, spread=0.05, noise=noise)
        inputs = fitted_inputs(data, make_problem(start=tuple(1.05 * PUBLISHED)))
        begin = time.perf_counter()
        results = run_checks(inputs)
        seconds += time.perf_counter() - begin
        passed += all(r.status != "fail" for r in results)
        for r in results:
            count[r.id, r.status] += 1
            if r.status == "fail":
                print(f"  seed {seed}: {r.id}: {r.message}")
    print(f"{angles} angles x {frames} frames, noise {noise}: {passed} of {seeds} good fits pass")
    print(f"  checks take {seconds / seeds:.2f} s each time")
    for (name, status), times in sorted(count.items()):
        print(f"  {name:18s} {status:5s} {times}")


def white_noise(draws: int, frames: int, angles: int) -> None:
    """Feed pure white noise to the residual check."""
    data = make_dataset(frames, angles)
    rng = np.random.default_rng(1)
    nothing = np.zeros_like(data.c2)
    passed = 0
    for _ in range(draws):
        noise = rng.standard_normal(data.c2.shape)
        result = check_residuals(Residuals(replace(data, c2=noise), nothing, np.ones(angles)))
        passed += result.status == "pass"
    print(f"{angles} x {frames}: white noise passes {passed} of {draws}")


def smooth_data(draws: int, frames: int, angles: int) -> None:
    """Scan data without lobes for lobes, with decays from stretched to compressed."""
    gains = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        truth = PUBLISHED * _SMOOTH
        truth[0] *= 10.0 ** rng.uniform(-1.0, 1.0)
        truth[1] = rng.uniform(-1.4, 0.8)
        truth[0] *= (0.03 * frames) ** (PUBLISHED[1] - truth[1])
        data = make_dataset(frames, angles, seed=seed, parameters=truth)
        gains.append(scan_lobes(data, np.full(angles, 0.06), (2, 4)).gain)
    print(f"{angles} x {frames}: lobe gain in smooth data at most {max(gains):.3g} of {draws}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--angles", type=int, default=5)
    parser.add_argument("--noise", type=float, default=0.02)
    options = parser.parse_args()
    good_fits(options.seeds, options.frames, options.angles, options.noise)
    white_noise(10 * options.seeds, 100, 3)
    smooth_data(options.seeds, options.frames, options.angles)


if __name__ == "__main__":
    main()
