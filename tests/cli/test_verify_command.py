"""``verify`` as a user meets it: table, JSON, exit codes, baseline, report, streams."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.cells import cell_len

from homodyne_cli import render
from homodyne_cli.io.run.read_run import read_run
from tests.cli.conftest import homodyne, started
from tests.support.browser import visit
from tests.support.legacy_run import write_legacy_run

LIBRARY = Path(render.__file__).parent / "assets" / "plotly-cartesian.min.js"
_FIGURES = ("curve", "correlation", "map", "profile", "scaling", "history")
IDS = [
    *("oscillations", "chi_squared", "uncertainties", "residuals"),
    *("gradient_balance", "convergence", "physical"),
]


def test_json_follows_the_contract(experiment: Path) -> None:
    done = homodyne("verify", "run", "--json", cwd=experiment)
    answer = json.loads(done.stdout)
    assert set(answer) == {*("run_dir", "passed", "checks", "resolved", "notes", "findings")}
    assert [check["id"] for check in answer["checks"]] == IDS
    keys = {"id", "code", "status", "value", "threshold", "message"}
    assert all(set(check) == keys for check in answer["checks"])
    statuses = {check["status"] for check in answer["checks"]}
    assert statuses <= {"pass", "warn", "fail", "n/a"}
    assert answer["passed"] == ("fail" not in statuses)
    assert done.returncode == (0 if answer["passed"] else 1)


def test_strict_fails_on_a_warning(experiment: Path) -> None:
    """A run is its own baseline: nothing was gained, which is a warning."""
    plain = homodyne("verify", "run", "--baseline", "run", "--json", cwd=experiment)
    strict = homodyne("verify", "run", "--baseline", "run", "--strict", "--json", cwd=experiment)
    status = {c["id"]: c["status"] for c in json.loads(plain.stdout)["checks"]}
    assert status["chi_squared"] == "warn"
    assert "fail" not in status.values()
    assert (plain.returncode, strict.returncode) == (0, 1)


def test_baseline_on_other_data_is_refused(experiment: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(experiment / "run", other)
    with h5py.File(other / "fitted_data.h5", "r+") as file:
        file["c2"][0, 3, 5] += 0.1
    done = homodyne("verify", "run", "--baseline", str(other), "--json", cwd=experiment)
    chi2 = json.loads(done.stdout)["checks"][1]
    assert chi2["status"] == "warn"
    assert "refused: it was fitted to other data" in chi2["message"]


def test_report_is_one_page_that_needs_no_network(experiment: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = homodyne("verify", "run", "--report", str(page), "--quiet", cwd=experiment)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert [m for m in _FIGURES if f"data-plot='{m}'" not in text] == []
    assert "://" not in text.replace(LIBRARY.read_text(encoding="utf-8"), "")
    for name in (*IDS, "gamma_dot_t0", "contrast"):
        assert name in text
    again = homodyne("verify", "run", "--report", str(page), cwd=experiment)
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert page.read_text(encoding="utf-8") == text
    forced = homodyne("verify", "run", "--report", str(page), "--force", cwd=experiment)
    assert forced.returncode == 0


@pytest.mark.parametrize(
    ("width", "environment"),
    [(80, {}), (200, {}), (80, {"PYTHONIOENCODING": "ascii"}), (80, {"NO_COLOR": "1"})],
)
def test_text_fits_its_terminal(experiment: Path, width: int, environment: dict[str, str]) -> None:
    # An encoding is chosen before a process runs anything.
    run = started if "PYTHONIOENCODING" in environment else homodyne
    done = run("verify", "run", cwd=experiment, COLUMNS=str(width), **environment)
    assert done.returncode == 0, done.stderr
    assert "\x1b[" not in done.stdout
    assert all(cell_len(line) <= width for line in done.stdout.splitlines())
    for check in IDS:
        assert check in done.stdout
    if environment.get("PYTHONIOENCODING"):
        assert done.stdout.isascii()


def test_run_of_homodyne_2_is_verified_with_its_own_model(experiment: Path, tmp_path: Path) -> None:
    """Values of he2024 in a homodyne 2.x run: the other model leaves a pattern, and fails."""
    run = read_run(experiment / "run")
    at = run.solution
    folder = write_legacy_run(tmp_path / "old", run.dataset, at.vector, at.contrast, at.offset)
    done = homodyne("verify", str(folder), cwd=experiment)
    assert done.returncode == 1, done.stderr
    assert "convention homodyne-2" in done.stdout
    assert "gap" in done.stdout


def test_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    done = homodyne("verify", ".", cwd=tmp_path)
    assert done.returncode == 3
    assert "not a run directory" in done.stderr


def test_a_gap_that_nothing_needs_is_refused(experiment: Path, tmp_path: Path) -> None:
    """The config acts where one of the runs does not record its gap."""
    options = ("--config", "config.yaml", "--quiet")
    for command in ("verify", "diagnose"):
        refused = homodyne(command, "run", *options, cwd=experiment)
        assert refused.returncode == 2
        assert "records what it was fitted with" in refused.stderr
    run = read_run(experiment / "run")
    at = run.solution
    old = write_legacy_run(tmp_path / "old", run.dataset, at.vector, at.contrast, at.offset)
    taken = homodyne("verify", "run", "--baseline", str(old), *options, cwd=experiment)
    assert taken.returncode in (0, 1), taken.stderr
    (tmp_path / "static.yaml").write_text(
        "analysis_mode: static\nexperimental_data: {file_path: data.h5}\n"
    )
    static = str(tmp_path / "static.yaml")
    without = homodyne("diagnose", str(old), "--config", static, cwd=experiment)
    assert without.returncode == 2
    assert "names no stator_rotor_gap" in without.stderr


def test_a_rheometer_and_a_held_value_stand_beside_the_checks(
    folder: Path, experiment: Path
) -> None:
    """Of the run's own shear rate the rheometer says twice as much: slip."""
    curves = np.genfromtxt(experiment / "run" / "curves.csv", delimiter=",", names=True)
    names = curves.dtype.names
    assert names is not None
    rate = next(name for name in names if name.startswith("shear_rate"))
    for name, factor in (("same", 1.0), ("slip", 2.0)):
        pairs = zip(curves["time_s"], factor * curves[rate], strict=True)
        rows = "".join(f"{t},{value}\n" for t, value in pairs)
        (folder / f"{name}.csv").write_text(f"time (s), shear rate (1/s)\n{rows}", "utf-8")
    status = {}
    for name in ("same", "slip"):
        words = ("--rheometer", f"{name}.csv", "--test", "beta=-0.6667,alpha=0", "--json")
        answer = json.loads(homodyne("verify", str(experiment / "run"), *words, cwd=folder).stdout)
        (check,) = (c for c in answer["checks"] if c["id"] == "rheometer")
        status[name] = check["status"]
        assert [test["name"] for test in answer["tests"]] == ["beta", "alpha"]
        assert all(0.0 <= test["p_value"] <= 1.0 for test in answer["tests"])
        ratio = np.array(answer["rheometer"]["ratio"])
        np.testing.assert_allclose(ratio, 1.0 if name == "same" else 0.5, rtol=1e-6)
    assert status == {"same": "pass", "slip": "fail"}
    done = homodyne(
        "verify", str(experiment / "run"), *words[:-1], "--test", "alpha=0.1",
        "--report", "flow.html", cwd=folder, COLUMNS="80",
    )  # fmt: skip
    assert "shear rate of the fit / of the rheometer over t (s)" in done.stdout
    assert "Shear rate: fit and rheometer" in done.stdout
    assert "Parameters held at a value" in done.stdout
    part = done.stdout.partition("shear rate of the fit")[2].partition("\nChecks")[0]
    assert all(cell_len(line) <= 80 for line in part.splitlines())
    page = (folder / "flow.html").read_text("utf-8")
    assert page.count("data-plot='points'") == 2
    assert page.count("<td data-head='parameter'>alpha</td>") == 1 + 2
    seen = visit(folder / "flow.html", folder)
    assert (seen.console, seen.requests) == ((), ())
    done = homodyne("verify", str(experiment / "run"), "--test", "beta", cwd=folder)
    assert done.returncode == 2
    assert "not a parameter and a number" in done.stderr
