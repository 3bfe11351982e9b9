"""``rerun``: the same answer where nothing changed, and what changed where something did."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cli.conftest import homodyne, started
from tests.support.config_files import STATIC
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.legacy_run import write_legacy_run


@pytest.fixture
def home(own_run: Path, tmp_path: Path) -> Path:
    """A folder with config.yaml, data.h5 and a run of them, free to be changed."""
    folder = tmp_path / "home"
    shutil.copytree(own_run.parent, folder)
    for name in ("config.yaml", "manifest.json"):
        text = (folder / "run" / name).read_text().replace(str(own_run.parent), str(folder))
        (folder / "run" / name).write_text(text)
    return folder


def answer_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def rerun(home: Path, *options: str) -> tuple[int, dict[str, object]]:
    done = homodyne("rerun", "run", "--json", "-q", *options, cwd=home)
    assert done.stderr == ""
    return done.returncode, answer_of(done)


def change(path: Path, **entries: object) -> None:
    """Change top-level entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_nothing_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = home / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    code, answer = rerun(home)
    assert code == 0
    assert (answer["reproduced"], answer["identical"], answer["versions"]) == (True, True, {})
    assert answer["kept_in"] is None
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before


def test_another_process_gives_the_same_bits_and_keeps_what_it_is_told_to(home: Path) -> None:
    done = started("rerun", "run", "-o", "again", "--no-plots", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "Reproduced to the bit." in done.stdout
    assert "Next: homodyne compare run again" in done.stdout
    manifest = json.loads((home / "again" / "manifest.json").read_text())
    assert manifest["command_line"][1:] == ["rerun", "run", "-o", "again", "--no-plots"]
    assert manifest["folder"] == str(home)


def test_data_that_changed(home: Path) -> None:
    with h5py.File(home / "data.h5", "r+") as file:
        maps = file["/xpcs/twotime/correlation_map"]
        maps["c2_00001"][3, 5] += 0.001
    code, answer = rerun(home)
    assert code == 1
    assert (answer["reproduced"], answer["same_data"]) == (False, False)
    states = {Path(f["path"]).name: f["state"] for f in answer["files"]}  # type: ignore[attr-defined]
    assert states == {"config.yaml": "same", "data.h5": "changed"}
    done = homodyne("rerun", "run", cwd=home)
    assert "Not reproduced: the data are others (data.h5)." in done.stdout


def test_data_that_are_gone_or_elsewhere(home: Path) -> None:
    (home / "data.h5").rename(home / "moved.h5")
    done = homodyne("rerun", "run", cwd=home)
    assert done.returncode == 3
    assert f"{home / 'data.h5'}: no such file, which run was fitted to" in done.stderr
    assert "homodyne rerun run --data PATH" in done.stderr
    code, answer = rerun(home, "--data", "moved.h5")
    assert (code, answer["reproduced"]) == (0, True)


def test_what_has_another_version_is_told(home: Path) -> None:
    manifest = home / "run" / "manifest.json"
    versions = json.loads(manifest.read_text())["versions"]
    change(manifest, versions={**versions, "scipy": "1.16.0"})
    code, answer = rerun(home)
    assert code == 0
    assert answer["versions"] == {"scipy": {"run": "1.16.0", "now": versions["scipy"]}}
    assert "1.16.0" in homodyne("rerun", "run", cwd=home).stdout


@pytest.mark.parametrize(("sigmas", "code"), [(0.005, 0), (-0.05, 1), (3.0, 1)])
def test_an_answer_that_differs(home: Path, sigmas: float, code: int) -> None:
    path = home / "run" / "parameters.json"
    parameters = json.loads(path.read_text())["parameters"]
    row = parameters["alpha"]
    row["value"] -= sigmas * row["uncertainty"]
    change(path, parameters=parameters)
    ended, answer = rerun(home)
    assert (ended, answer["identical"]) == (code, False)
    entry = answer["parameters"]["alpha"]  # type: ignore[index]
    assert entry["apart"] == pytest.approx(sigmas, rel=1e-6)
    shown = homodyne("rerun", "run", cwd=home).stdout
    assert ("Not reproduced: alpha is off by" in shown) == bool(code)


def test_the_config_of_the_run_is_fitted_whatever_became_of_the_users(home: Path) -> None:
    (home / "config.yaml").write_text("no: config\n")
    done = homodyne("rerun", "run", cwd=home, COLUMNS="200")
    assert done.returncode == 0
    assert "changed; the run's own copy was fitted" in done.stdout


def test_files_that_links_lead_to_count_as_data(home: Path) -> None:
    """A virtual dataset: the file that is named stays as it is, its source does not."""
    data = make_dataset(30, 1, parameters=PUBLISHED[:3], noise=0.01)
    with h5py.File(home / "source.h5", "w") as file:
        file["maps"] = data.array
    with h5py.File(home / "master.h5", "w") as file:
        layout = h5py.VirtualLayout(data.array.shape, "f8")
        layout[...] = h5py.VirtualSource("source.h5", "maps", data.array.shape)
        file.create_virtual_dataset("c2", layout)
        file["phi"], file["q"], file["dt"] = data.phi, 0.0054, 0.1
    (home / "c.yaml").write_text(STATIC.replace("data.h5", "master.h5"))
    done = homodyne("fit", "c.yaml", "-o", "run", "--force", "--no-plots", "-q", cwd=home)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((home / "run" / "manifest.json").read_text())
    assert [Path(entry["path"]).name for entry in manifest["linked"]] == ["source.h5"]
    assert rerun(home)[0] == 0
    with h5py.File(home / "source.h5", "r+") as file:
        file["maps"][0, 3, 5] += 0.001
    code, answer = rerun(home)
    assert (code, answer["same_data"]) == (1, False)


def test_runs_that_do_not_say_how_they_were_made(home: Path, tmp_path: Path) -> None:
    scaling = np.full(2, 0.3), np.full(2, 1.1)
    write_legacy_run(tmp_path / "old", make_dataset(20, 2), PUBLISHED, *scaling)
    (home / "run" / "config.yaml").unlink()
    for place, folder in (("old", tmp_path), ("run", home)):
        done = homodyne("rerun", place, cwd=folder)
        assert done.returncode == 3
        assert "does not say how it was made" in done.stderr


def test_options_that_would_do_nothing(home: Path) -> None:
    for option in ("--force", "--no-plots"):
        done = homodyne("rerun", "run", option, cwd=home)
        assert done.returncode == 2
        assert option in done.stderr
