"""``plan`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.conftest import homodyne

SMALL = ("--frames", "30", "--phi", "0,30,60", "--speckles", "2000", "--counts", "2")


def test_a_scan_says_what_suffices(folder: Path) -> None:
    """Uncertainties fall with the root of the speckles; the search for frames ends or says so."""
    done = homodyne(
        "plan", "config.yaml", "--frames", "30", "--phi", "0,30,60", "--counts", "2",
        "--speckles", "2000,8000", "--goal", "D0=20%", "--goal", "phi0=0.01", "--json", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    one, four = answer["points"]
    assert (one["frames"], one["angles"], one["speckles"]) == (30, 3, 2000)
    for name, sigma in one["uncertainties"].items():
        assert sigma == pytest.approx(2.0 * four["uncertainties"][name]), name
    assert answer["goals"] == {"D0": 4000.0, "phi0": 0.01}
    assert one["repeats"] == pytest.approx(4 * four["repeats"], abs=4)
    assert [e["frames"] for e in answer["enough"]] == [None, None]
    assert {e["searched_to"] for e in answer["enough"]} == {240}


def test_what_suffices_is_told_once_for_all_frames_of_a_scan(folder: Path) -> None:
    done = homodyne(
        "plan", "config.yaml", "--frames", "20,30", "--phi", "0,30,60", "--counts", "2",
        "--speckles", "2000", "--goal", "phi0=30", "--json", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [point["frames"] for point in answer["points"]] == [20, 30]
    (enough,) = answer["enough"]
    assert enough["frames"] <= 20


def test_tables_charts_and_a_picture(folder: Path) -> None:
    for columns in ("80", "40"):
        done = homodyne(
            "plan", "config.yaml", *SMALL, "--contrast", "0.1,0.3", "--goal", "gamma_dot_t0=50%",
            "-o", f"plan{columns}.png", cwd=folder, COLUMNS=columns,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        words = " ".join(done.stdout.split())
        assert "What suffices for gamma_dot_t0 to 50%" in words
        assert "sigma of gamma_dot_t0 (%)" in words
        assert max(map(cell_len, done.stdout.splitlines()[1:])) <= int(columns)
        assert (folder / f"plan{columns}.png").read_bytes().startswith(b"\x89PNG")


def test_one_measurement_is_a_table_of_parameters(folder: Path) -> None:
    done = homodyne(
        "plan", "config.yaml", "--frames", "30", "--noise", "0.02", "--set",
        "initial_parameters.active_parameters=[D0,phi0]", cwd=folder, COLUMNS="80",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30 frames" in done.stdout
    assert "white noise per pair 0.02" in done.stdout
    rows = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert rows[-3:] == ["D0", "phi0", "What"]
    assert "--goal" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing says how noisy"),
        (("--counts", "2"), "photons per speckle"),
        (("--speckles", "5.5"), "5.5 is not a whole number from 1 on"),
        (("--speckles", "9", "--contrast", "1.5"), "1.5 is not a number above 0 and at most 1"),
        (("--speckles", "9", "--frames", "9,9"), "9 stands there twice"),
        (("--speckles", "9", "--frames", "nine"), "not a list of numbers"),
        (("--speckles", "9", "--noise", "0.1"), "noise without speckles"),
        (("--speckles", "9", "--angles", "3", "--phi", "0"), "exclude each other"),
        (("--speckles", "9", "--goal", "D=3"), "'D' is not fitted"),
        (("--speckles", "9", "--goal", "D0=few"), "not an uncertainty above 0"),
        (("--speckles", "9", "-o", "plan.png"), "nothing is scanned"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], said: str, folder: Path) -> None:
    done = homodyne("plan", "config.yaml", *options, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
