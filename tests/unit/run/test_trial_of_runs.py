"""Maps of a run that would end the process that reads them are found out by another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.run.read_run import trial_of_runs
from tests.cli.conftest import homodyne
from tests.support.data_mutations import deadly


@pytest.fixture(scope="module")
def deadly_run(own_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose maps are a virtual dataset that the library cannot read and live."""
    run = tmp_path_factory.mktemp("deadly") / "run"
    shutil.copytree(own_run, run)
    deadly(run / "fitted_data.h5")
    return run


def test_good_runs_pass(own_run: Path) -> None:
    with trial_of_runs(own_run, own_run, own_run) as wait:
        wait()


@pytest.mark.parametrize("others", [0, 2])
def test_maps_that_end_the_process(own_run: Path, deadly_run: Path, others: int) -> None:
    """At whatever place, also where a trial begins after another."""
    with (
        trial_of_runs(*[own_run] * others, deadly_run) as wait,
        pytest.raises(DataError, match="end the process") as caught,
    ):
        wait()
    assert str(deadly_run / "fitted_data.h5") in str(caught.value)


def test_damage_that_has_a_name_is_left_to_reading(own_run: Path, tmp_path: Path) -> None:
    shutil.copytree(own_run, tmp_path / "run")
    with h5py.File(tmp_path / "run" / "fitted_data.h5", "a") as file:
        del file["phi"]
    with trial_of_runs(tmp_path / "run") as wait:
        wait()


@pytest.mark.parametrize(
    "words",
    [
        ("diagnose", "run"),
        ("verify", "run"),
        ("report", "run", "-o", "page.html"),
        ("export", "run", "--format", "npz", "-o", "fit.npz"),
    ],
)
def test_every_command_that_reads_maps(deadly_run: Path, words: tuple[str, ...]) -> None:
    done = homodyne(*words, cwd=deadly_run.parent)
    assert done.returncode == 3, done
    assert "end the process that reads it" in done.stderr.replace("\n", " ")
