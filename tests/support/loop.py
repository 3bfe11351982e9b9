"""The loop of the reference document on a simulated experiment, every figure measured here.

Simulate; fit from the quoted point with ``x_scale: unit`` and too few iterations; diagnose; enter
the recommended map; fit again; verify; compare. ``make demo`` runs it, and so does a test.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from homodyne_cli.io.config.load import load_config
from homodyne_cli.render.table_shapes import plain_table
from tests.support.commands import Commands

#: The reference document's point: five of the seven are untouched start values.
QUOTED_POINT = "[400.758, -0.014, -0.674271, 0.003, -0.909, 0.0, -0.0452923]"
EARLY_STOP = 4


@dataclass(frozen=True)
class Side:
    """One fit of the loop: what the comparison shows."""

    chi2: float
    iterations: int
    worst_error: float
    effective_ratio: float
    premature: bool
    lobes: str
    passed: bool


@dataclass(frozen=True)
class Loop:
    """The fits before and after the map was entered."""

    before: Side
    after: Side


def _side(steps: Commands, run: Path, truth: Path) -> Side:
    fitted = json.loads((run / "parameters.json").read_text(encoding="utf-8"))
    true = json.loads(truth.read_text(encoding="utf-8"))
    errors = [abs(fitted["parameters"][n]["value"] / v - 1.0) for n, v in true.items()]
    diagnosis = steps.ask("diagnose", str(run))
    verdict = steps.ask("verify", str(run))
    checks = verdict["checks"]
    assert isinstance(checks, list)
    ended = json.loads((run / "convergence_metrics.json").read_text(encoding="utf-8"))
    return Side(
        chi2=float(fitted["chi_squared"]),
        iterations=int(ended["convergence"]["iterations"]),
        worst_error=float(np.max(errors)),
        effective_ratio=float(str(diagnosis["effective_ratio"])),
        premature=bool(diagnosis["premature"]),
        lobes=next(str(c["status"]) for c in checks if c["id"] == "oscillations"),
        passed=bool(verdict["passed"]),
    )


def run_loop(folder: Path, *, shown: bool) -> Loop:
    """Run the loop in a folder; `shown` prints every command and its output."""
    steps = Commands(shown=shown)
    config, scaled, fix = folder / "config.yaml", folder / "scaled.yaml", folder / "fix.yaml"
    start = ("--set", f"initial_parameters.values={QUOTED_POINT}", "--no-plots", "--no-global")
    steps.run("init", "-o", str(config), "--force")
    steps.run(
        "simulate", str(config), "-o", str(folder / "data.h5"), "--noise", "0.015", "--seed", "7"
    )
    truth = folder / "truth.json"
    values = load_config(config).problem.initial.values
    truth.write_text(json.dumps(dict(values or {})), encoding="utf-8")
    early = ("--x-scale", "unit", "--set", f"optimization.nlsq.max_iterations={EARLY_STOP}")
    before, after = folder / "before", folder / "after"
    steps.run("fit", str(config), "-o", str(before), *start, *early, "--truth", str(config))
    steps.run("diagnose", str(before), "-o", str(fix))
    steps.run("apply-scale", str(config), str(fix), "-o", str(scaled))
    steps.run("fit", str(scaled), "-o", str(after), *start, "--truth", str(config))
    steps.run("verify", str(after), "--baseline", str(before), "--quiet")
    return Loop(_side(steps, before, truth), _side(steps, after, truth))


def comparison_table(
    rows: Sequence[tuple[str, str, str]],
    *,
    title: str = "Before and after",
    before: str = "before",
    after: str = "after",
) -> Table:
    """Show quantities of two runs beside each other.

    Parameters
    ----------
    rows
        (what, before, after), as text.
    """
    figures = (before, after)
    table = plain_table(escape(title), "", *figures, right=figures, words=("", *figures))
    for row in rows:
        table.add_row(*map(escape, row))
    return table
