"""Rings of many files, some of which would end the process that opens them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from homodyne_cli.batch import rings
from homodyne_cli.batch.jobs import Scan, plan_jobs
from homodyne_cli.batch.rings import FileRings, rings_of_files
from tests.support.data_mutations import deadly
from tests.support.layout_writers import Grid, aps_u


def dying(path: Path) -> FileRings:
    """Read a file as usual, but for two names."""
    if path.stem == "fatal":
        os.abort()
    if path.stem == "endless":
        time.sleep(60.0)
    return rings.read_rings(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "fatal", "b", "endless", "c"):
        aps_u(tmp_path / f"{name}.h5", Grid(q=(0.0054, 0.0081)))
    (tmp_path / "text.h5").write_text("no HDF5")
    return tmp_path


def test_rings_are_those_of_each_file(folder: Path) -> None:
    paths = [folder / "a.h5", folder / "text.h5", folder / "missing.h5", folder / "b.h5"]
    answer = rings_of_files(paths)
    assert answer[paths[0]] == answer[paths[3]] == FileRings((0.0054, 0.0081))
    for path in paths[1:3]:
        assert answer[path].q == ()
        assert path.name in answer[path].error


def test_a_file_that_ends_its_reader_costs_no_other(folder: Path) -> None:
    paths = [folder / f"{name}.h5" for name in ("a", "fatal", "b", "endless", "c")]
    answer = rings.rings_of_files(paths, patience=8.0, read=dying)
    good = FileRings((0.0054, 0.0081))
    assert [answer[path] == good for path in paths] == [True, False, True, False, True]
    assert "end the process" in answer[paths[1]].error
    assert "finds no end" in answer[paths[3]].error


def test_a_deadly_file_is_a_job_with_its_error(tmp_path: Path) -> None:
    aps_u(tmp_path / "a.h5", Grid(q=(0.0054, 0.0081)))
    scans = [Scan(deadly(tmp_path / "bad.h5"), {}), Scan(tmp_path / "a.h5", {})]
    jobs = plan_jobs(tmp_path / "template.yaml", scans, rings="all")
    assert [job.q for job in jobs] == [None, 0.0054, 0.0081]
    assert "end the process" in jobs[0].error
