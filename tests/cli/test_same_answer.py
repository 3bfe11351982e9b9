"""The same input gives the same answer: to the bit, and to 1e-8 sigma with other threads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.cli.conftest import homodyne, started

NOISES: Final = {"white": ("--noise", "0.02"), "speckles": ("--speckles", "400")}
#: JAX counts cores when it is imported, so a process is bound before it imports anything.
_ONE_CORE: Final = (
    "import sys, psutil; p = psutil.Process(); p.cpu_affinity(p.cpu_affinity()[:1]); "
    "from homodyne_cli.cli.process import main; main()"
)


@pytest.fixture(scope="module", params=NOISES)
def folder_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, data of one kind of noise and a run of them."""
    folder = tmp_path_factory.mktemp("same")
    noisy = NOISES[request.param]
    for step in (
        ("init",),
        ("simulate", "config.yaml", "-o", "data.h5", "--frames", "40", "--phi", "0,30,60", *noisy),
        ("fit", "config.yaml", "-o", "first", "--no-plots", "--quiet"),
    ):
        done = homodyne(*step, cwd=folder)
        assert done.returncode == 0, done.stderr
    noise = json.loads((folder / "first" / "parameters.json").read_text())["noise"]
    assert (noise["weights"] is not None) == (request.param == "speckles")
    return folder


def parameters(run: Path) -> dict[str, object]:
    """Return ``parameters.json`` without when it was written."""
    stored = json.loads((run / "parameters.json").read_text())
    assert isinstance(stored, dict)
    del stored["timestamp"]
    return stored


def test_a_fit_again_is_the_same_to_the_bit(folder_of: Path) -> None:
    done = started("fit", "config.yaml", "-o", "again", "--no-plots", "--quiet", cwd=folder_of)
    assert done.returncode == 0, done.stderr
    assert parameters(folder_of / "again") == parameters(folder_of / "first")


@pytest.mark.skipif(sys.platform == "darwin", reason="a process there cannot be bound to a core")
@pytest.mark.skipif((psutil.cpu_count() or 1) < 2, reason="one core")
def test_one_core_gives_the_same_within_a_hundred_millionth(folder_of: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ONE_CORE, "fit", "config.yaml", "-o", "one", "--no-plots", "-q"],
        cwd=folder_of,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, one = (
        json.loads((folder_of / run / "parameters.json").read_text()) for run in ("first", "one")
    )
    for name, row in first["parameters"].items():
        # At a bound there is no uncertainty, and the value is the bound.
        sigma = row["uncertainty"] or 0.0
        assert abs(row["value"] - one["parameters"][name]["value"]) <= 1e-8 * sigma
        assert (one["parameters"][name]["uncertainty"] or 0.0) == pytest.approx(sigma, rel=1e-7)
