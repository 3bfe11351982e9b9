"""How findings on an input look, wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding, Severity
from homodyne_cli.render.console import command_line, print_plain
from homodyne_cli.results import FitResult

_STYLES: Mapping[Severity, str] = {
    "note": "cyan",
    "warning": "bold yellow",
    "error": "bold red",
}


def finding_text(finding: Finding) -> str:
    """Return what was seen, and the code under which it is explained."""
    return f"{finding.message} [{finding.code}]"


def result_codes(result: FitResult) -> tuple[Code, ...]:
    """Return what there is to know of a result beside its figures."""
    holds = {
        Code.INTERRUPTED: result.interrupted,
        Code.NOT_CONVERGED: not (result.converged or result.interrupted),
        Code.AT_BOUND: any(p.at_bound and not p.fixed for p in result.parameters),
        Code.UNDETERMINED: bool(result.undetermined),
    }
    return tuple(code for code, held in holds.items() if held)


def print_codes(console: Console, codes: Iterable[Code]) -> None:
    """Say how to learn more of what was found; nothing where nothing was."""
    words = dict.fromkeys(codes)
    if words:
        print_plain(console, f"What it means: {command_line('explain', *words)}", style="dim")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print findings, each with what to do below it; what is to be typed is not broken."""
    for finding in findings:
        head = Text(f"{finding.severity}: ", style=_STYLES[finding.severity])
        console.print(head.append(finding_text(finding), style="default"))
        if finding.option:
            print_plain(console, f"  {finding.advice}")
        elif finding.advice:
            console.print(Padding(Text(finding.advice), (0, 0, 0, 2)))
