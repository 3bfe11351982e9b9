"""A data file that would end the process that reads it is an error of the command."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import homodyne
from tests.support.config_files import STATIC
from tests.support.data_mutations import deadly


def test_a_fit_survives_the_library(tmp_path: Path) -> None:
    deadly(tmp_path / "data.h5")
    (tmp_path / "c.yaml").write_text(STATIC)
    done = homodyne("fit", "c.yaml", "-o", "run", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
