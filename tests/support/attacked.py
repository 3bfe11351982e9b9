"""Commands on run directories that somebody else made, and what came of them."""

from __future__ import annotations

import io
import sys
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

from homodyne_cli.cli.app import main
from homodyne_cli.errors import DataError
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import read_run
from tests.support.commands import Commands
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.legacy_run import write_legacy_run

#: Pictures take seconds of a command, so that one in so many draws them.
REPORTS = 20
FORMATS = ("csv", "json", "npz", "nexus", "latex")


@dataclass(frozen=True)
class Outcome:
    """How a command ended: ``answer``, ``error`` (one, exit code 3), or what must not be.

    `seconds` are of the processor, so that they do not depend on what else the machine does.
    """

    kind: str
    said: str
    seconds: float = 0.0


def attacked_runs(folder: Path) -> tuple[Path, Path]:
    """Write a sound run of this program, with every kind of entry, and one of homodyne 2.x."""
    steps, config, data = Commands(shown=False), folder / "config.yaml", folder / "data.h5"
    steps.run("init", "-o", str(config))
    frames = ("--frames", "15", "--noise", "0.002", "--phi", "0,30", "--seed", "7")
    steps.run("simulate", str(config), "-o", str(data), *frames)
    logged = "optimization.nlsq.diagnostics={enabled: true, log_jacobian_norms: true}"
    options = ("--profile", "beta", "--set", logged, "--no-plots", "--quiet")
    steps.run("fit", str(config), "-o", str(folder / "run"), *options)
    scaling = np.full(2, 0.3), np.full(2, 1.1)
    return folder / "run", write_legacy_run(
        folder / "old", make_dataset(20, 2), PUBLISHED, *scaling
    )


def outcome_of(arguments: tuple[str, ...]) -> Outcome:
    """Run a command in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    called, started = patch.object(sys, "argv", ["homodyne", *arguments]), time.process_time()
    with called, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    seconds = time.process_time() - started
    said = err.getvalue().strip()
    first = said.splitlines()[0] if said else ""
    if code in (0, 1) and not said.replace(_wrote(arguments), "").strip():
        return Outcome("answer", "", seconds)
    if code == 3 and first.startswith("error: ") and said.count("error: ") == 1:
        return Outcome("error", first, seconds)
    return Outcome(f"exit {code}", said[-400:], seconds)


def outcome_of_reading(run: str) -> Outcome:
    """Read a run as commands do, without what they do with it."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_result(Path(run), 2e6)
            read_run(Path(run), 2e6)
        kind, said = "answer", ""
    except DataError as error:
        kind, said = "error" if run in str(error) else "no place", str(error)
    # Whatever else comes is what is looked for.
    except Exception as error:  # noqa: BLE001
        kind, said = type(error).__name__, str(error)[:400]
    return Outcome(kind, said, time.process_time() - started)


def _wrote(arguments: tuple[str, ...]) -> str:
    """Return what a command that was told to write a file says of it."""
    if "--report" in arguments:
        return f"note: Wrote {arguments[arguments.index('--report') + 1]}: open it in a browser"
    place = arguments[arguments.index("-o") + 1] if "-o" in arguments else ""
    opened = ": open it in a browser." if arguments[0] == "report" else ""
    return f"Wrote {place}{opened}"


def judging_commands(run: Path, folder: Path, _: Path, k: int) -> list[tuple[str, ...]]:
    """Return ``diagnose`` and ``verify`` of an altered run."""
    drawn = ("--report", str(folder / "page.html"), "--force") if k % REPORTS == 0 else ()
    return [("diagnose", str(run)), ("verify", str(run), *drawn)]


def reading_commands(run: Path, folder: Path, sound: Path, k: int) -> list[tuple[str, ...]]:
    """Return ``show``, ``compare`` with a sound run, ``export`` and now and then ``report``."""
    form = FORMATS[k % len(FORMATS)]
    written = ("--format", form, "-o", str(folder / f"export.{form}"), "--force")
    commands = [
        ("show", str(run)),
        ("compare", str(sound), str(run)),
        ("export", str(run), *written),
    ]
    if k % REPORTS == 0:
        commands.append(("report", str(run), "-o", str(folder / "page.html"), "--force"))
    return commands
