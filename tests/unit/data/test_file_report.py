"""What ``inspect`` says of files that can be fitted, and of those that cannot."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.cli.app import app
from homodyne_cli.cli.options.command import run_words
from homodyne_cli.errors import DataError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.maps.file_report import report_on
from homodyne_cli.render.map_chart import map_chart
from tests.support.datasets import make_dataset
from tests.support.layout_writers import Grid, aps_u

DATA = make_dataset(30, 4, noise=0.02, seed=3)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file with a dead angle, one with gaps, and one in the other half."""
    path, c2 = tmp_path / "data.h5", np.array(DATA.array)
    c2[1] = -1.0
    c2[2, 4] = np.nan
    c2[3] = np.tril(c2[3].T)
    with h5py.File(path, "w") as file:
        file.update({"c2": c2, "phi": DATA.phi, "q": 0.0054, "dt": 0.1})
    return path


def test_maps_are_told_one_by_one(plain: Path) -> None:
    report = report_on(plain)
    assert (report.layout, report.n_maps, report.n_frames) == ("plain HDF5", 4, 30)
    assert (report.dt, report.units, report.problem) == (0.1, frozenset(), "")
    good, dead, gaps, lower = report.maps
    assert good.levels is not None
    assert 0.15 < good.levels.near - good.levels.far < 0.35
    assert good.levels.sigma == pytest.approx(0.02, rel=0.2)
    assert dead.levels is not None
    assert dead.levels.constant
    assert gaps.n_missing == 30 - 5
    assert [one.half for one in report.maps] == ["full", "full", "full", "lower"]
    assert lower.levels is not None
    assert lower.levels.far == pytest.approx(1.106, abs=0.05)


def test_the_fullest_ring_is_looked_at_or_the_one_named(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid(q=(0.0054, 0.0062)))
    assert [ring.q for ring in report_on(path).rings] == [0.0054, 0.0062]
    assert report_on(path).ring == 0.0054
    assert report_on(path, 0.0062).ring == 0.0062


def test_a_file_that_cannot_be_fitted_says_why_and_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["a/b"] = np.zeros((3, 2))
    report = report_on(path)
    assert "no known layout" in report.problem
    assert [(a.name, a.shape) for a in report.arrays] == [("/a/b", (3, 2))]
    np.savez(tmp_path / "other.npz", x=np.zeros(4))
    assert report_on(tmp_path / "other.npz").arrays[0].name == "x"
    with pytest.raises(DataError, match="no such file"):
        report_on(tmp_path / "gone.h5")


def test_the_command_shows_it_and_writes_a_config(
    plain: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    config = plain.parent / "new.yaml"
    assert run_words(app, ("inspect", str(plain), "-o", str(config))) == 0
    shown = capsys.readouterr().out
    for words in ("constant: -1", "plain HDF5", "t1 down, t2 right", "homodyne check"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 80 + len(str(config))
    selection = load_config(config).selection
    assert (selection.path, selection.q, selection.dt) == (plain, 0.0054, None)
    assert run_words(app, ("inspect", str(plain), "--json")) == 0
    assert json.loads(capsys.readouterr().out)["maps"][2]["n_missing"] == 25


def test_a_map_is_drawn_as_wide_as_there_is_room() -> None:
    drawn = map_chart(DATA.array[0], width=40, ascii_only=True)
    assert drawn.isascii()
    assert max(map(len, drawn.splitlines()[:-1])) <= 40
    gaps = np.arange(36.0).reshape(6, 6)
    gaps[0, 3:] = np.nan
    assert map_chart(gaps, width=40, ascii_only=True).splitlines()[0].endswith("??????")
