"""How findings on an input look, wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from homodyne_cli.findings.finding import Finding, Severity
from homodyne_cli.render.console import print_plain

_STYLES: Mapping[Severity, str] = {"warning": "bold yellow", "error": "bold red"}


def finding_head(finding: Finding) -> str:
    """Return severity and code, as they stand before the message."""
    return f"{finding.severity}[{finding.code}]"


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print findings, each with what to do below it."""
    for finding in findings:
        console.print(
            f"{finding_head(finding)}: ",
            style=_STYLES[finding.severity],
            markup=False,
            end="",
        )
        print_plain(console, finding.message)
        if finding.advice:
            print_plain(console, f"  {finding.advice}")
