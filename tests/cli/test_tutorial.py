"""Every command of the tutorial runs, in order, and ends as the tutorial says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from docs.generate import ROOT
from tests.cli.conftest import homodyne

COMMAND = re.compile(r"^\$ homodyne (.*?)(?:\s+# exits (\d+))?$", re.MULTILINE)


def test_commands_of_the_tutorial(tmp_path: Path) -> None:
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    commands = COMMAND.findall(text)
    assert len(commands) == text.count("\n$ ")
    assert len(commands) > 9
    shown = {}
    for line, code in commands:
        done = homodyne(*shlex.split(line), cwd=tmp_path)
        assert done.returncode == int(code or 0), f"{line}\n{done.stdout}{done.stderr}"
        shown[line] = done.stdout
    diagnosis = next(out for line, out in shown.items() if line.startswith("diagnose run1"))
    assert "Stopped early, and gradients are imbalanced" in diagnosis
    same = next(out for line, out in shown.items() if line.startswith("verify run3"))
    assert "chi2 is the same as that of run2" in " ".join(same.split())
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "config.yaml.bak").is_file()
