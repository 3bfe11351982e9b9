"""``homodyne demo``: the whole way on a simulated experiment, each command shown before it runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.command import run_words
from homodyne_cli.cli.options.shared import Force
from homodyne_cli.version import clash_note


@dataclass(frozen=True)
class DemoRequest:
    """Simulate an experiment, fit it, diagnose and verify the fit, beside the truth.

    Example: homodyne demo
    """

    folder: Annotated[
        Path, typer.Argument(help="Folder to make and write to.", metavar="FOLDER")
    ] = Path("homodyne_demo")
    force: Force = False


def run_demo(app: typer.Typer, request: DemoRequest) -> int:
    """Run the commands of a first day; return the exit code of the first that is not 0."""
    from homodyne_cli.io.files.outputs import output_errors, refuse_existing
    from homodyne_cli.render.console import make_console, print_note, print_plain

    folder = request.folder
    refuse_existing(folder, force=request.force, option="FOLDER")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    console = make_console()
    for why, line in _steps(folder):
        words = [*line, "--force"] if request.force and "diagnose" not in line else line
        print_plain(console, f"\n# {why}", style="dim")
        print_plain(console, f"$ homodyne {shlex.join(words)}", style="bold cyan")
        # What is shown here and what a command writes itself stay in order in a pipe.
        console.file.flush()
        code = run_words(app, words)
        if code:
            return code
    print_plain(
        console,
        f"\nIn a browser: {folder / 'report.html'}\n"
        "Next, your own data: homodyne init -o config.yaml, name your file in it, then "
        "homodyne fit config.yaml",
    )
    if note := clash_note():
        print_note(make_console(stderr=True), note)
    return 0


def _steps(folder: Path) -> tuple[tuple[str, list[str]], ...]:
    config, data, run, page = (
        str(folder / name) for name in ("config.yaml", "data.h5", "run", "report.html")
    )
    noise = ["--frames", "200", "--noise", "0.015", "--seed", "7"]
    guess = ["--set", "initial_parameters.values=null"]
    return (
        ("A config. Its start values are the truth of the experiment to come.",
         ["init", "-o", config]),
        ("That experiment: 5 angles, 200 frames, noise.", ["simulate", config, "-o", data, *noise]),
        ("A fit without a guess of the parameters, and what it finds beside the truth.",
         ["fit", config, "-o", run, *guess, "--truth", config]),
        ("Did the optimiser get to the minimum?", ["diagnose", run, "--quiet"]),
        ("Is the fit good?", ["verify", run, "--quiet", "--report", page]),
    )  # fmt: skip
