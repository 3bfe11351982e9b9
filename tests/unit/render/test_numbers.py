from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homodyne_cli.render.numbers import (
    FIXED,
    MISSING,
    format_count,
    format_digits,
    format_number,
    format_seconds,
    format_with_uncertainty,
)


@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [
        (1.991e-3, 2.3e-5, ("0.001991", "0.000023")),
        (68480.5, 1234.0, ("68500", "1200")),
        (68480.5, 12.0, ("68480", "12")),
        (-1.32694, 0.0042, ("-1.3269", "0.0042")),
        (-6.07376e-4, 2.3e-5, ("-6.07e-04", "0.23e-04")),
        (9.99e5, 9.97e4, ("1.00e+06", "0.10e+06")),
        (2.5e6, 41.0, ("2500000", "41")),
        (0.0, 0.5, ("0.00", "0.50")),
        (-0.67, 12000.0, ("0", "12000")),
        (1.0, 1e-15, ("1", "1.0e-15")),
        (3.0, 0.0, ("3", FIXED)),
        (3.0, math.nan, ("3", MISSING)),
        (math.nan, 1.0, (MISSING, MISSING)),
        (1.0, math.inf, ("1", MISSING)),
    ],
)
def test_examples(value: float, uncertainty: float, expected: tuple[str, str]) -> None:
    assert format_with_uncertainty(value, uncertainty) == expected


@given(
    st.floats(-1e12, 1e12, allow_subnormal=False),
    st.floats(1e-12, 1e12, allow_subnormal=False),
)
def test_text_parses_back_within_its_rounding(value: float, uncertainty: float) -> None:
    value_text, uncertainty_text = format_with_uncertainty(value, uncertainty)
    assert float(uncertainty_text) == pytest.approx(uncertainty, rel=0.0501)
    # Half a unit in the second digit of the uncertainty, or nine digits of the value.
    allowed = max(0.0501 * uncertainty, 0.51e-8 * abs(value))
    assert abs(float(value_text) - value) <= allowed
    assert not value_text.startswith("-0") or float(value_text) != 0.0


@given(st.floats(0.011, 900.0), st.floats(0.0011, 90.0))
def test_value_and_uncertainty_end_at_the_same_place(value: float, uncertainty: float) -> None:
    value_text, uncertainty_text = format_with_uncertainty(value, uncertainty)
    assert len(value_text.partition(".")[2]) == len(uncertainty_text.partition(".")[2])


def test_other_formats() -> None:
    assert format_count(12345678) == "12,345,678"
    assert format_number(math.nan) == MISSING
    assert format_number(-math.inf) == "-inf"
    assert format_digits(1.0) == "1.00"
    assert format_digits(512.0) == "512"
    assert format_digits(9.3e-8) == "9.30e-08"
    assert [format_seconds(s) for s in (0.5, 61.25, 119.96, 125.0, 179.9, 7325.0)] == [
        "0.50 s", "61.2 s", "120.0 s", "2 min 5 s", "3 min 0 s", "2 h 2 min",
    ]  # fmt: skip
