"""Files that go wrong, through the command; and which test asserts the right value of each kind.

| kind | test |
|---|---|
| bounds far wider than the decay needs | `minimise.test_fit.test_wide_bounds_change_nothing` |
| a bound that the fit ends at | `minimise.test_fit.test_an_active_bound_hides_no_uncertainty` |
| g2 - 1 for g2 | here; `inputs.test_examine`; `data.test_hostile_files.test_baseline_of_zero_*` |
| a decay in microseconds | `objective.test_default_bounds` |
| a flow axis outside of the bounds | `minimise.test_flow_axis` |
| angles in radians, a gap in um, q in 1/nm, dt | `inputs.test_examine.test_what_is_stated_*` |
| a window late in the series | `data.test_time_origin` |
| frames that were dropped | `data.test_named_arrays` (times, and noise beside a gap) |
| noise per pair that is zero or no number | `gram_pass.test_pair_noise` |
| maps that are constant, integers, noise | here; `inputs.test_examine` |
| values that were rounded | `data.test_named_arrays.test_rounding_*` |
| a pair of 1e6, an angle of fill values | here; `inputs.test_examine` |
| a link to a file that is gone | here; `data.test_hostile_files.test_links_*` |
| a baseline of 0.0 as a float | `data.test_hostile_files.test_baseline_of_zero_*` |
| .npy, any array | `data.test_named_arrays`; without angles: here |
| a filter that HDF5 lacks | `data.test_hostile_files.test_filters` |
| a matplotlib style that fails | `cli.test_fit_command.test_a_style_*` |
| figures at 40 columns | `render.test_tables.test_figures_are_whole_at_every_width` |
| an option twice, a key twice | `cli.test_options.test_what_would_do_nothing_is_refused` |
| notes in JSON | `cli.test_fit_command.test_json_is_one_object_*`, `cli.test_verify_command` |
| a platform that is not there, flags of XLA | `numerics.test_backend` |
| several unknown keys | `config.test_errors.test_everything_that_is_wrong_is_told_in_one_run` |
| an early Ctrl-C | `cli.test_interrupted_fit`, `cli.test_process`, `cli.test_kills` |
| warnings of NumPy | pytest makes every warning an error, and commands run in its process |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.dataset import FloatArray
from tests.cli.conftest import homodyne
from tests.support.datasets import RESOLVED, make_dataset

GOOD = make_dataset(40, 3, parameters=RESOLVED, noise=0.01, offset=1.0)
CONFIG = """\
analysis_mode: laminar_flow
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: 0.0054}
  geometry: {stator_rotor_gap: 2.0e+6}
"""


def maps() -> FloatArray:
    """Return whole maps, the first frame of which is not fitted."""
    c2 = np.full((3, 41, 41), 1.5)
    c2[:, 1:, 1:] = GOOD.array
    return c2


def write(folder: Path, c2: np.ndarray) -> None:
    with h5py.File(folder / "data.h5", "w") as file:
        file["c2"], file["phi"], file["q"], file["dt"] = c2, GOOD.phi, 0.0054, 0.1
    (folder / "config.yaml").write_text(CONFIG + "experimental_data: {file_path: data.h5}\n")


def hot(c2: FloatArray) -> FloatArray:
    c2[1, 10, 30] = c2[1, 30, 10] = 1e6
    return c2


def filled(c2: FloatArray) -> FloatArray:
    c2[1] = -1.0
    return c2


def noise(c2: FloatArray) -> FloatArray:
    rough = np.triu(np.random.default_rng(3).normal(1.0, 0.01, c2.shape), 1)
    return np.asarray(rough + rough.swapaxes(1, 2))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda c2: c2 - 1.0, "H322", "g2 - 1?"),
        (lambda c2: np.ones_like(c2), "H321", "all pairs are the same, 1"),
        (lambda c2: np.round(0.7 + 0.3 * c2).astype("i2"), "H321", "all pairs are the same, 1"),
        (noise, "H323", "no contrast"),
        (hot, "H324", "frames 11 and 31"),
        (filled, "H321", "all pairs are the same, -1 at phi"),
    ],
    ids=["g2 - 1", "constant", "integers", "noise", "hot pair", "fill values"],
)
def test_nothing_to_fit_is_an_error_that_is_told_once(
    change: Callable[[FloatArray], np.ndarray], code: str, words: str, tmp_path: Path
) -> None:
    write(tmp_path, change(maps()))
    done = homodyne("fit", "config.yaml", "-o", "run", cwd=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr
    assert (done.stdout + done.stderr).count(f"[{code}]") == 1
    assert not (tmp_path / "run").exists()
    checked = homodyne("check", "config.yaml", "--json", cwd=tmp_path)
    assert checked.returncode == 1
    assert code in [finding["code"] for finding in json.loads(checked.stdout)["findings"]]


def test_a_check_that_fails_says_what_to_type(tmp_path: Path) -> None:
    write(tmp_path, maps() - 1.0)
    done = homodyne("check", "config.yaml", cwd=tmp_path)
    (last,) = done.stdout.splitlines()[-1:]
    assert last == "Next: homodyne check config.yaml --set experimental_data.baseline=0"
    again = homodyne(*last.split()[2:], cwd=tmp_path)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == last.replace(" check ", " fit ")


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    write(tmp_path, maps())
    with h5py.File(tmp_path / "data.h5", "a") as file:
        del file["c2"]
        file["c2"] = h5py.ExternalLink("gone.h5", "/c2")
    done = homodyne("fit", "config.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert "gone.h5:/c2" in done.stderr


def test_an_array_without_angles_names_the_key_for_them(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", maps())
    (tmp_path / "config.yaml").write_text(CONFIG + "experimental_data: {file_path: data.npy}\n")
    done = homodyne("check", "config.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert '--set "experimental_data.phi=[...]" (3 of them)' in done.stderr
    phi = f"experimental_data.phi={GOOD.phi.tolist()}"
    assert homodyne("check", "config.yaml", "--set", phi, cwd=tmp_path).returncode == 0
