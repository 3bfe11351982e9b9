"""Sobol points against SciPy's, bit for bit: starts of a search are what they always were."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from homodyne_cli.core.numerics.sobol import MOST_DIMENSIONS, sobol_points
from homodyne_cli.parameters import NAMES


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_points_are_those_of_scipy(seed: int) -> None:
    for dimensions in range(1, MOST_DIMENSIONS + 1):
        expected = qmc.Sobol(dimensions, seed=seed).random(256)
        np.testing.assert_array_equal(sobol_points(dimensions, 256, seed), expected)


def test_every_parameter_has_a_dimension() -> None:
    assert len(NAMES) == MOST_DIMENSIONS
