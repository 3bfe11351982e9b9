"""Merged frames, against sums written down as loops."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.checks import angle_maps
from homodyne_cli.core.checks.angle_maps import FittedModel, MergedFrames
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.noise.speckle_estimate import white_noise
from homodyne_cli.parameters import NAMES
from homodyne_cli.results import Solution
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem


@pytest.mark.parametrize("band", [4, 64])
def test_residuals_are_means_over_blocks(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that fill no block are left out, and blocks that lack more than half their pairs."""
    monkeypatch.setattr(angle_maps, "_BAND", band)
    data = make_dataset(17, 2, masked=250)
    problem, scaling = make_problem(start=tuple(PUBLISHED)), np.array([[0.3, 0.2], [1.1, 1.0]])
    residuals = Residuals(data, np.zeros_like(data.array), np.full(2, 0.06))
    solution = Solution(dict(zip(NAMES, PUBLISHED, strict=True)), *scaling)
    model = FittedModel.of(data, problem, solution)
    merged = MergedFrames.of(data.t, 6)
    assert (merged.size, len(merged.t)) == (3, 5)
    for angle in range(2):
        maps = angle_maps.angle_maps(residuals, model, white_noise(2), merged, angle)
        for a in range(5):
            for b in range(a, 5):
                pairs = [(i, j) for i in range(3 * a, 3 * a + 3) for j in range(3 * b, 3 * b + 3)]
                values = [data.array[angle, i, j] for i, j in pairs if i < j]
                known = [value for value in values if np.isfinite(value)]
                whole = a != b and len(known) > 4.5
                assert maps.covariance.present[a, b] == whole
                mean = float(np.mean(known)) if whole else 0.0
                assert maps.residual[a, b] == maps.residual[b, a] == pytest.approx(mean)
