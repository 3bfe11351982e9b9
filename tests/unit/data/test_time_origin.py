"""When t is 0: at the first frame of the window, or where the measurement began."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.maps.file_report import report_on
from homodyne_cli.io.maps.frame_times import TimeOrigin
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import DataSelection, FitProblem
from tests.support.layout_writers import Grid, aps_u, homodyne_cache, one_map, plain

#: Aging that slows down: D grows by a power law of the time since the beginning.
AGING = np.array([2000.0, 0.6, 0.0])
DT = 0.1


def read(path: Path, origin: TimeOrigin, start: int = 1) -> Dataset:
    selection = DataSelection(path, q=0.0062, start_frame=start, time_origin=origin)
    return read_dataset(selection, "static")


def test_an_exponent_is_that_of_the_series(tmp_path: Path) -> None:
    """Frames 61 to 160 of a series: counted from frame 61, the exponent is another one."""
    experiment = Experiment(
        AGING, phi=np.zeros(2), n_frames=159, q=0.0062, gap=None, dt=DT, from_zero=True
    )
    c2 = simulate(experiment, Noise(0.003), np.random.default_rng(0)).dataset.array
    path = plain(
        tmp_path / "s.npz",
        np.asarray(c2, dtype=np.float64),
        {"phi": [0.0, 0.0], "q": 0.0062, "dt": DT},
    )
    problem = FitProblem("static")
    problem = replace(problem, initial=replace(problem.initial, fixed={"D_offset": 0.0}))

    def exponent(origin: TimeOrigin) -> tuple[float, float]:
        alpha = fit(read(path, origin, start=61), problem).parameters[1]
        return alpha.value, alpha.uncertainty

    value, error = exponent("series")
    assert abs(value - 0.6) < 4.0 * error
    value, error = exponent("window")
    assert abs(value - 0.6) > 20.0 * error


@pytest.mark.parametrize(
    ("origin", "first", "words"),
    [
        ("window", 0.0, "frame 5, the first of the window"),
        ("series", 0.4, "0.4 s before frame 5"),
        (30.0, 30.4, "30.4 s before frame 5"),
    ],
)
def test_the_choice_is_told(tmp_path: Path, origin: TimeOrigin, first: float, words: str) -> None:
    c2 = np.array([one_map(14, 1, k) for k in range(2)])
    path = plain(tmp_path / "p.h5", c2, {"phi": [0.0, 20.0], "q": 0.0062, "dt": DT})
    data = read(path, origin, start=5)
    np.testing.assert_allclose(data.t, first + DT * np.arange(1, 10), rtol=1e-12)
    assert data.provenance["origin"].value == words
    assert "time_origin" in data.provenance["origin"].source


def test_aps_u_tells_the_first_frame_by_those_of_the_detector(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid(), frame_time=0.05, stride=2)
    with h5py.File(path, "a") as file:
        file["/xpcs/twotime/config/begin_frame"] = 120
    data = read(path, "series", start=3)
    # 120 frames of 0.05 s, then two of the map, of 0.1 s each.
    assert data.t[0] == pytest.approx(6.0 + 0.2 + 0.1)
    assert "begin_frame" in data.provenance["origin"].source
    assert read(path, "window", start=3).t[0] == pytest.approx(0.1)
    assert report_on(path).began == pytest.approx(6.0)


def test_a_cache_tells_it_by_its_times_or_its_name(tmp_path: Path) -> None:
    named = homodyne_cache(tmp_path / "cached_c2_frames_401_414.npz", Grid(), dt=DT)
    assert read(named, "series", start=403).t[0] == pytest.approx(402 * DT + DT)
    later = tmp_path / "later.npz"
    with np.load(named, allow_pickle=True) as arrays:
        np.savez(later, **{**arrays, "t1": arrays["t1"] + 7.0})
    data = read(later, "series")
    assert data.t[0] == pytest.approx(7.0 + DT)
    assert "t1[0]" in data.provenance["origin"].source


def test_time_stamps_that_are_uneven_count_from_the_same_origin(tmp_path: Path) -> None:
    kept = np.r_[3:9, 11:19]
    c2 = np.array([one_map(14, 1, k) for k in range(2)])
    numbers = {"phi": [0.0, 20.0], "q": 0.0062, "t": kept * DT}
    path = plain(tmp_path / "p.npz", c2, numbers)
    np.testing.assert_allclose(read(path, "series", start=2).t, kept[2:] * DT)
    np.testing.assert_allclose(read(path, "window", start=2).t, (kept[2:] - kept[1]) * DT)
    np.testing.assert_allclose(read(path, 5.0, start=2).t, 5.0 + (kept[2:] - kept[0]) * DT)
