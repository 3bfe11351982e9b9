"""``init``, ``simulate`` and ``fit`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.io.config.load import load_config
from tests.cli.conftest import homodyne, started

FIT_KEYS = [
    *("run_dir", "status", "converged", "convention", "n_points", "n_angles", "chi2"),
    *("reduced_chi2", "edm", "iterations", "evaluations", "seconds", "parameters"),
    *("contrast", "offset", "x_scale", "search", "noise", "profiles"),
    *("condition_number", "combinations", "equivalents", "codes", "resolved", "notes", "findings"),
]


def test_run_directory_holds_what_the_design_promises(experiment: Path) -> None:
    run = experiment / "run"
    names = {p.name for p in run.iterdir()}
    assert {
        "parameters.json",
        "analysis_results_nlsq.json",
        "convergence_metrics.json",
        "curves.csv",
        "curves.png",
        "fitted_data.h5",
        "config.yaml",
        "config_original.yaml",
        "manifest.json",
        "c2_heatmaps_phi_0.0deg.png",
        "c2_heatmaps_phi_30.0deg.png",
        "c2_heatmaps_phi_60.0deg.png",
    } == names
    parameters = json.loads((run / "parameters.json").read_text())
    assert parameters["convention"] == "he2024"
    d0 = parameters["parameters"]["D0"]
    assert set(d0) >= {"value", "uncertainty", "unit", "at_bound"}
    assert abs(d0["value"] - 2e4) < 5 * d0["uncertainty"]
    manifest = json.loads((run / "manifest.json").read_text())
    assert [len(i["sha256"]) for i in manifest["inputs"]] == [64, 64]
    assert (
        load_config(run / "config.yaml").problem == load_config(experiment / "config.yaml").problem
    )
    assert (run / "config_original.yaml").read_bytes() == (experiment / "config.yaml").read_bytes()
    assert (run / "c2_heatmaps_phi_0.0deg.png").read_bytes()[:4] == b"\x89PNG"
    with h5py.File(run / "fitted_data.h5") as file:
        data, fit = file["c2"][0], file["c2_fitted"][0]
        upper = np.triu_indices(59, 1)
        residual = (data - fit)[upper] / file["sigma"][0]
        assert residual.std() == pytest.approx(1.0, abs=0.1)
        assert not data[np.tril_indices(59)].any()


def test_json_is_one_object_and_nothing_else(folder: Path) -> None:
    done = homodyne("fit", "config.yaml", "-o", "run", "--json", "--no-plots", cwd=folder)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert list(answer) == FIT_KEYS
    assert set(answer["seconds"]) == {"load", "compile", "fit", "save", "total"}
    assert answer["converged"] is True
    assert not list((folder / "run").glob("*.png"))


def test_a_run_says_what_its_map_did_and_what_is_determined(folder: Path) -> None:
    """A map, and data that cannot tell D0 from D_offset once alpha is held at zero."""
    done = homodyne(
        "fit", "config.yaml", "-o", "run", "--no-plots", "--no-global",
        "--set", "initial_parameters.fixed_parameters={alpha: 0.0}",
        "--set", "initial_parameters.values=[1.5e4, 0.0, 5e3, 1e-3, 0.0, 0.0, 1.0]",
        "--set", "optimization.nlsq.x_scale_map={D0: 1e4, gamma_dot_t0: 1e-3}",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert "condition number" in done.stdout
    assert "Determined together, not apart" in done.stdout
    assert "D0 + D_offset" in done.stdout
    metrics = json.loads((folder / "run/convergence_metrics.json").read_text())
    recorded = metrics["x_scale"]
    assert recorded["mode"] == "config"
    assert recorded["values"]["D0"] == 1e4
    assert set(recorded["condition_number"]) == {"start", "end"}
    for at in recorded["condition_number"].values():
        # No map mends a Jacobian with two equal columns.
        assert min(at["raw"], at["scaled"]) > 1e9
    parameters = json.loads((folder / "run/parameters.json").read_text())
    (together,) = (c for c in parameters["combinations"] if "D0" in c["names"])
    assert together["names"] == ["D0", "D_offset"]
    assert together["unit"] == "Å²/s"
    assert 0.0 < together["uncertainty"] < together["value"]
    assert parameters["equivalents"] == []


def test_tables_show_the_result_and_survive_ascii(folder: Path) -> None:
    done = started(
        "fit", "config.yaml", "-o", "run", "--truth", "config.yaml", "--no-plots",
        cwd=folder, PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    for word in ("gamma_dot_t_offset", "truth", "pull", "reduced chi2", "converged", "0.0054 1/A"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_reference_documents_form_runs_a_fit(folder: Path) -> None:
    done = homodyne(
        "--config", "config.yaml", "--method", "nlsq", "--output-dir", "run", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "parameters.json").is_file()


def test_early_stop_exits_1_and_says_so(folder: Path) -> None:
    done = homodyne(
        "fit", "config.yaml", "-o", "run", "--no-plots", "--x-scale", "unit",
        "--set", "optimization.nlsq.max_iterations=1",
        "--set", "initial_parameters.values.D0=1000",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 1
    assert "NOT CONVERGED" in done.stdout


def test_existing_output_is_kept_without_force(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "mine.txt").write_text("precious")
    refused = homodyne("fit", "config.yaml", "-o", "run", cwd=folder)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    # --force replaces run directories, never a folder with something else in it.
    forced = homodyne("fit", "config.yaml", "-o", "run", "--force", cwd=folder)
    assert forced.returncode == 2
    assert (folder / "run" / "mine.txt").read_text() == "precious"


def test_force_replaces_a_run(folder: Path) -> None:
    first = homodyne("fit", "config.yaml", "-o", "run", "--no-plots", cwd=folder)
    assert first.returncode == 0
    (folder / "run" / "stale.txt").write_text("old")
    again = homodyne("fit", "config.yaml", "-o", "run", "--no-plots", "--force", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert not (folder / "run" / "stale.txt").exists()
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def corrupt(folder: Path, kind: str) -> None:
    target = folder / "data.h5"
    original = target.read_bytes()
    target.unlink()
    if kind == "truncated":
        target.write_bytes(original[: len(original) // 2])
    elif kind == "text":
        target.write_text("not HDF5")
    elif kind == "nan":
        target.write_bytes(original)
        with h5py.File(target, "r+") as file:
            maps = file["/xpcs/twotime/correlation_map"]
            name = sorted(maps)[0]
            maps[name][...] = np.nan


CONFIG = "analyzer_parameters"
NO_ANGLE = "phi_filtering.target_ranges=[{min_angle: 80, max_angle: 85}]"
MISTAKES = [
    (["--set", "experimental_data.file_path=missing.h5"], None, 3, "missing.h5"),
    ([], "truncated", 3, "truncated"),
    ([], "text", 3, "data.h5"),
    ([], "nan", 3, "c2_00001"),
    (["--set", f"{CONFIG}.scattering.wavevector_q=0.02"], None, 3, "0.0054"),
    (["--set", f"{CONFIG}.end_frame=99"], None, 3, "60"),
    (["--set", f"{CONFIG}.end_frame=2"], None, 3, "frames"),
    (["--set", "phi_filtering.enabled=true", "--set", NO_ANGLE], None, 3, "60"),
    (["--set", "initial_parameters.values=[1.0, 2.0]"], None, 2, "values"),
    (["--set", "initial_parameters.values.D0=-5"], None, 2, "D0"),
    (["--set", "parameter_space.bounds.D0=[5, 1]"], None, 2, "D0"),
    (["--set", "initial_parameters.values.gama=1"], None, 2, "gama"),
    (["--set", f"{CONFIG}.dt=-0.1"], None, 2, "dt"),
    (["--set", f"{CONFIG}.dt=fast"], None, 2, "fast"),
    (["--x-scale", "config"], None, 2, "x_scale_map"),
    (["-o", "/proc/run"], None, 2, "cannot be written"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "damage", "code", "word"), MISTAKES)
def test_mistakes_get_one_clear_message(
    folder: Path, extra: list[str], damage: str | None, code: int, word: str
) -> None:
    if damage:
        corrupt(folder, damage)
    before = {p.name for p in folder.iterdir()}
    output = [] if "-o" in extra else ["-o", "run"]
    done = homodyne("fit", "config.yaml", *output, *extra, cwd=folder)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert word in done.stderr
    assert done.stdout == ""
    assert {p.name for p in folder.iterdir()} == before


def test_duplicate_key_is_refused_with_its_place(folder: Path) -> None:
    config = folder / "config.yaml"
    config.write_text(config.read_text() + "\nanalysis_mode: static\n")
    lines = len(config.read_text().splitlines())
    done = homodyne("fit", "config.yaml", "-o", "run", cwd=folder)
    assert done.returncode == 2
    assert f"config.yaml:{lines}:1" in done.stderr


def test_scientific_notation_without_a_dot_is_a_number(folder: Path) -> None:
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("#ftol: 1.0e-10", "ftol: 1e-8"))
    assert load_config(config).problem.solver.ftol == 1e-8


def test_locked_file_is_a_data_error(folder: Path) -> None:
    target = folder / "data.h5"
    original = target.read_bytes()
    target.unlink()
    target.write_bytes(original)
    with h5py.File(target, "r+"):
        done = started("fit", "config.yaml", "-o", "run", cwd=folder)
    assert done.returncode == 3, done.stderr
    assert "lock" in done.stderr


def test_measured_map_fits_statically(tmp_path: Path) -> None:
    """One real two-time map (NSLS-II); it has no q or dt, so these are invented."""
    measured = np.load(Path(__file__).parents[1] / "data" / "bnl_two_time" / "test_g2.npy")
    np.savez(tmp_path / "map.npz", c2=measured[None], phi=np.zeros(1), q=0.005, dt=1.0)
    (tmp_path / "config.yaml").write_text(
        "analysis_mode: static\nexperimental_data: {file_path: map.npz}\n"
    )
    done = homodyne("fit", "config.yaml", "-o", "run", "--json", "--no-plots", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["n_points"] == 349 * 348 // 2
    uncertainties = [p["uncertainty"] for p in answer["parameters"].values()]
    assert all(u is not None and np.isfinite(u) and u > 0 for u in uncertainties), answer


def test_compiled_code_is_kept_in_a_private_folder_on_request(folder: Path) -> None:
    """A loss other than linear is compiled whatever the size of the data."""
    robust = ("--set", "optimization.nlsq.loss=huber")
    arguments = ("fit", "config.yaml", "--json", "--no-plots", "--quiet", "--compile-cache", "kept",
                 *robust)  # fmt: skip
    first = started(*arguments, "-o", "one", cwd=folder)
    assert first.returncode == 0, first.stderr
    kept = list((folder / "kept").iterdir())
    assert kept
    assert (folder / "kept").stat().st_mode & 0o777 == 0o700
    again = started(*arguments, "-o", "two", cwd=folder)
    assert json.loads(again.stdout)["parameters"] == json.loads(first.stdout)["parameters"]
    compiled = {p.name for p in kept if p.name.endswith("-cache")}
    assert compiled == {p.name for p in (folder / "kept").glob("*-cache")}
    (folder / "kept").chmod(0o777)
    refused = started(*arguments, "-o", "three", cwd=folder)
    assert refused.returncode == 2
    assert "others can write to it" in refused.stderr


def test_profile_of_a_parameter_that_is_not_fitted_is_refused(folder: Path) -> None:
    done = homodyne("fit", "config.yaml", "-o", "run", "--profile", "D1", cwd=folder)
    assert done.returncode == 2
    assert "--profile D1: not a fitted parameter" in done.stderr
    assert not (folder / "run").exists()


@pytest.mark.parametrize("style", ["text.usetex: true\nfont.family: serif\n", "backend"])
def test_a_style_that_cannot_be_drawn_with_does_not_lose_the_fit(folder: Path, style: str) -> None:
    """No LaTeX on the path, or a backend that there is not: a run, and a note."""
    environment = {"MPLBACKEND": "no-such"} if style == "backend" else {"PATH": ""}
    (folder / "matplotlibrc").write_text(style if style != "backend" else "")
    done = started("fit", "config.yaml", "-o", "styled", cwd=folder, **environment)
    assert done.returncode == 0, done.stderr
    assert "no pictures: matplotlib says" in done.stderr
    assert (folder / "styled" / "parameters.json").is_file()
