"""The loop of the reference document on a simulated experiment; ``make demo`` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from homodyne_cli.render.console import make_console
from tests.support.loop import Loop, Side, comparison_table, run_loop


def show(loop: Loop) -> None:
    """Print the two fits beside each other."""
    words = {"pass": "yes", "fail": "no", "warn": "doubtful", "n/a": "n/a"}

    def column(side: Side) -> tuple[str, ...]:
        return (
            f"{side.chi2:.1f}",
            str(side.iterations),
            f"{side.worst_error:.1%}",
            f"{side.effective_ratio:.3g}",
            "yes" if side.premature else "no",
            words[side.lobes],
            "yes" if side.passed else "no",
        )

    labels = (
        "chi2",
        "iterations",
        "worst parameter error",
        "effective ratio",
        "stopped early",
        "lobes in data and fit",
        "verify passes",
    )
    rows = list(zip(labels, column(loop.before), column(loop.after), strict=True))
    make_console().print(comparison_table(rows, title="Before and after the x_scale_map"))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    show(run_loop(folder, shown=True))


if __name__ == "__main__":
    main()
