"""Commands run in this process."""

from __future__ import annotations

import io
import json
import shlex
from contextlib import redirect_stdout

from homodyne_cli.cli.app import app
from homodyne_cli.render.console import make_console, print_plain


class Commands:
    """Runs commands in one process, so that compiled code is shared, and shows them."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def run(self, *arguments: str) -> int:
        """Run a command, its output shown or swallowed; return its exit code."""
        if not self._shown:
            with redirect_stdout(io.StringIO()):
                return self._call(arguments)
        print_plain(make_console(), f"\n$ homodyne {shlex.join(arguments)}", style="bold cyan")
        return self._call(arguments)

    def ask(self, *arguments: str) -> dict[str, object]:
        """Run a command with --json and return its answer."""
        caught = io.StringIO()
        with redirect_stdout(caught):
            self._call((*arguments, "--json"))
        answer = json.loads(caught.getvalue())
        assert isinstance(answer, dict)
        return answer

    @staticmethod
    def _call(arguments: tuple[str, ...]) -> int:
        try:
            app(list(arguments))
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0
