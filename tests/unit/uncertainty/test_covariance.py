"""What the data leave free, in words."""

from __future__ import annotations

import pytest

from homodyne_cli.core.uncertainty.covariance import describe_direction


@pytest.mark.parametrize(
    ("direction", "sentence"),
    [
        ({"phi0": 1.0}, "phi0 is not determined"),
        ({"D0": 0.7, "D_offset": -0.71}, "D_offset and D0 trade off: only their (scaled) sum"),
        ({"D0": 0.7, "alpha": 0.71}, "alpha and D0 trade off: only their (scaled) combination"),
        (
            {"D0": 0.7, "alpha": -0.2, "D_offset": -0.6},
            "D0, D_offset and alpha trade off: only their (scaled) combination",
        ),
    ],
)
def test_a_direction_is_told_by_what_it_leaves_measured(
    direction: dict[str, float], sentence: str
) -> None:
    """Two parameters that move against each other keep their sum; no other two numbers do."""
    assert describe_direction(direction).startswith(sentence)
