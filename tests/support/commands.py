"""Commands run in this process."""

from __future__ import annotations

import io
import json
import shlex
from contextlib import redirect_stdout

from homodyne_cli.cli.app import app
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
