"""Every command of the tutorial and of the README runs, in order, and ends as they say."""

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
    # What the page says of the fit that stopped early.
    lines = diagnosis.splitlines()
    assert lines[1].startswith("Stopped early, and gradients are imbalanced")
    assert lines[-1] == "Next: homodyne apply-scale config.yaml fix.yaml"
    early = next(out for line, out in shown.items() if line.startswith("fit config.yaml -o run1"))
    assert re.search(r"reduced χ² +1\.0008\b", early)
    assert re.search(r"D0 +6540 +950\b", early)
    same = next(out for line, out in shown.items() if line.startswith("verify run3"))
    assert "chi2 is the same as that of run2" in " ".join(same.split())
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "config.yaml.bak").is_file()


def test_commands_of_the_readme(tmp_path: Path) -> None:
    """From nothing to a verified fit and a report; what is typed in an editor is left out."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## Your own data")[1].split("```")[1]
    lines = [line.partition("  #")[0].strip() for line in block.strip().splitlines()]
    commands = [line for line in lines if not line.startswith("$EDITOR")]
    assert len(commands) > 15
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "homodyne"
        done = homodyne(*words, cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "report.html").stat().st_size > 100_000
