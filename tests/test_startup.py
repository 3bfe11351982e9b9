"""Help and completion answer without the numerical libraries."""

from __future__ import annotations

import subprocess
import sys

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
