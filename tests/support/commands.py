"""Commands run in this process, or in one of their own."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from homodyne_cli.cli.app import app, main
from homodyne_cli.cli.options.command import run_words
from homodyne_cli.render.console import make_console, print_plain


class Commands:
    """Runs commands in one process, so that compiled code is shared, and shows them."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def run(self, *arguments: str) -> int:
        """Run a command, its output shown or swallowed; return its exit code."""
        if not self._shown:
            with redirect_stdout(io.StringIO()):
                return run_words(app, arguments)
        print_plain(make_console(), f"\n$ homodyne {shlex.join(arguments)}", style="bold cyan")
        return run_words(app, arguments)

    def ask(self, *arguments: str) -> dict[str, object]:
        """Run a command with --json and return its answer."""
        caught = io.StringIO()
        with redirect_stdout(caught):
            run_words(app, (*arguments, "--json"))
        answer = json.loads(caught.getvalue())
        assert isinstance(answer, dict)
        return answer


def homodyne(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which has imported and compiled what it needs.

    Output goes where a pipe would take it. What a process does before and after a command is
    `started`'s.
    """
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", newline="\n")
        for _ in range(2)
    )
    words, code = ["homodyne", *arguments], 0
    with (
        chdir(cwd), patch.dict(os.environ, environment), patch.object(sys, "argv", words),
        redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    out.seek(0)
    err.seek(0)
    return subprocess.CompletedProcess(words, code, out.read(), err.read())


def started(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a fresh process, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "homodyne_cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
