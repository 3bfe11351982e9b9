"""Help and completion answer without the numerical libraries; small data need no JAX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("jax", "numpy", "scipy", "h5py", "matplotlib")


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["simulate", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['homodyne', *{arguments!r}]\n"
        "from homodyne_cli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        f"print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize("command", ["fit", "diagnose", "verify"])
def test_small_data_need_no_jax(command: str, own_run: Path, tmp_path: Path) -> None:
    """JAX and what of SciPy imports a third of all libraries take longer than the commands."""
    heavy = ["jax", "scipy.stats", "matplotlib"]
    if command != "fit":
        heavy.append("scipy.optimize")
    config = own_run.parent / "config.yaml"
    words = [command, str(own_run)]
    if command == "fit":
        words = ["fit", str(config), "-o", str(tmp_path / "run"), "--no-plots", "--quiet"]
    code = (
        "import sys\n"
        f"sys.argv = ['homodyne', *{words!r}]\n"
        "from homodyne_cli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code in (0, 1)\n"
        f"print('HEAVY', [m for m in {heavy!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
