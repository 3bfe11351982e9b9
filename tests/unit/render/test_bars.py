from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest
from rich.cells import cell_len

from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES
from homodyne_cli.render.bars import lag_profile, log_bar_chart, log_chart

#: Ratios of 1e7 between the largest and the smallest.
GRADIENTS = [26.98292, -42365.33, 28.50510, 8684888.0, 102815.3, 346934800.0, 43.63216]


def lengths(chart: str, marker: str) -> list[int]:
    return [line.count(marker) for line in chart.splitlines()]


@pytest.mark.parametrize(("ascii_only", "marker"), [(True, "#"), (False, "█")])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_grow_with_the_logarithm(width: int, ascii_only: bool, marker: str) -> None:
    chart = log_bar_chart(NAMES, GRADIENTS, width=width, ascii_only=ascii_only)
    drawn = lengths(chart, marker)
    assert len(drawn) == len(NAMES)
    assert all(cell_len(line) <= width for line in chart.splitlines())
    order = np.argsort(np.abs(GRADIENTS))
    assert list(np.array(drawn)[order]) == sorted(drawn)
    assert min(drawn) >= 1
    if width == 200:
        share = (drawn[1] - drawn[0]) / (drawn[5] - drawn[0])
        logs = np.log10(np.abs(GRADIENTS))
        assert share == pytest.approx((logs[1] - logs[0]) / (logs[5] - logs[0]), abs=0.02)
    assert "-4.237e+04" in chart
    assert "\x1b" not in chart
    assert chart.isascii() or not ascii_only


def test_zero_nan_and_equal_values() -> None:
    chart = log_bar_chart(
        ["a", "b", "c", "γ̇"], [0.0, math.nan, 5.0, 5.0], width=30, ascii_only=False
    )
    drawn = lengths(chart, "█")
    assert drawn[:2] == [0, 0]
    assert drawn[2] == drawn[3] > 10
    rows = chart.splitlines()
    assert [rows[0], rows[1]] == ["a 0", "b —"]
    assert log_bar_chart(["a"], [0.0], width=30, ascii_only=True) == "a 0"
    assert log_bar_chart([], [], width=30, ascii_only=True) == ""


def test_a_billionfold_range_is_quick() -> None:
    log_bar_chart(["warm"], [1.0], width=20, ascii_only=True)
    start = time.process_time()
    log_bar_chart(["a", "b"], [1e-9, 1e9], width=200, ascii_only=False)
    assert time.process_time() - start < 0.3


def profile() -> tuple[FloatArray, FloatArray, FloatArray]:
    lag = np.arange(1, 1000) * np.float64(0.1)
    fit = 1.1 + 0.3 * np.exp(-lag / 40) * np.sinc(lag / 20) ** 2
    data = fit + 0.01 * np.random.default_rng(0).standard_normal(lag.shape)
    data[5:9] = np.nan
    return lag, data, fit


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_lag_profile(width: int, ascii_only: bool) -> None:
    text = lag_profile(*profile(), title="φ = 12.0°", width=width, height=18, ascii_only=ascii_only)
    rows = text.splitlines()
    assert len(rows) <= 18
    assert all(cell_len(row) <= width for row in rows)
    assert rows[0].startswith("phi = 12.0deg" if ascii_only else "φ = 12.0°")
    assert "lag (s)" in text
    assert "\x1b" not in text
    assert text.isascii() is ascii_only
    assert text.count("o" if ascii_only else "●") > width // 4


def test_lag_profile_shows_where_data_and_fit_part() -> None:
    lag, data, fit = profile()
    shifted = lag_profile(
        lag, data + 1.0, fit, title="", width=80, height=20, ascii_only=True
    ).splitlines()[1:]
    marks = [k for k, row in enumerate(shifted) if "o" in row[8:]]
    curve = [k for k, row in enumerate(shifted) if "..." in row[8:]]
    assert max(marks) < min(curve)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_lag_profile_with_little_or_nothing_to_show(kept: int) -> None:
    lag, data, fit = profile()
    data[kept:] = np.nan
    text = lag_profile(lag, data, fit, title="t", width=80, height=12, ascii_only=False)
    assert ("no pair" in text) == (kept == 0)


def test_values_that_cannot_be_told_apart_are_drawn_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lag, data, fit = profile()
    data[:] = fit[:] = 1.7077e28
    chart = lag_profile(lag, data, fit, title="t", width=80, height=12, ascii_only=False)
    assert "●" in chart
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("ascii_only", "dot"), [(False, "●"), (True, "o")])
def test_a_digit_is_drawn_where_it_tells_lines_apart(ascii_only: bool, dot: str) -> None:
    """The digit 1 alone would be read as a value."""
    x, y = [2.0, 3.0, 4.0], [20.0, 30.0, 40.0]

    def marks(series: dict[str, tuple[list[float], list[float]]]) -> set[str]:
        chart = log_chart(series, title="", x_label="", width=60, height=14, ascii_only=ascii_only)
        plot = [
            re.split(r"[│┤|+]", line)[1] for line in chart.splitlines() if line.endswith(("│", "|"))
        ]
        return set("".join(plot)) & {dot, "1", "2"}

    assert marks({"one": (x, y)}) == {dot}
    assert marks({"one": (x, y), "two": (x, y[::-1])}) >= {"1", "2"}
