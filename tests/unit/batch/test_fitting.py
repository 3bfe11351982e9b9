"""A job of a batch is a row whatever its file does."""

from __future__ import annotations

from pathlib import Path

from homodyne_cli.batch.fitting import JobSettings, fit_job
from homodyne_cli.batch.jobs import Scan, plan_jobs
from tests.cli.conftest import TEMPLATE
from tests.support.data_mutations import deadly


def test_a_file_that_ends_the_process_is_a_row(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE, encoding="utf-8")
    (job,) = plan_jobs(template, [Scan(deadly(tmp_path / "a.h5"), {})])
    (tmp_path / "rows").mkdir()
    row = fit_job(job, JobSettings(tmp_path))
    assert (row.state, row.exit_code) == ("failed", 3)
    assert "end the process" in row.error
    assert not (tmp_path / "a").exists()
