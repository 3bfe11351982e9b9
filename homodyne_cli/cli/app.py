"""The command line: a registry of commands, and the one place where errors become messages.

Nothing heavy is imported before a command runs, so ``--help`` and completion stay fast.
"""

from __future__ import annotations

import sys
import traceback
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

import typer
from typer._click.exceptions import ClickException

from homodyne_cli.cli import commands, runs
from homodyne_cli.cli.commands.demo import DemoRequest, run_demo
from homodyne_cli.cli.commands.fit import FitRequest, run_fit
from homodyne_cli.cli.options.command import OnceGroup, add_command
from homodyne_cli.cli.options.completers import configs
from homodyne_cli.errors import ExitCode, HomodyneError, UsageError
from homodyne_cli.findings.codes import Code
from homodyne_cli.version import VERSION, clash_note, versions

app = typer.Typer(
    name="homodyne",
    cls=OnceGroup,
    help="Fit, diagnose and verify XPCS two-time correlation maps of soft matter in flow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 good, 1 negative finding, 2 usage or config, 3 data, 4 internal, "
    "130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from homodyne_cli.core.numerics.backend import describe_device

        listed = ", ".join(f"{name} {v}" for name, v in versions().items() if name != "homodyne")
        typer.echo(f"homodyne {VERSION} ({listed}; device {describe_device()})")
        if note := clash_note():
            typer.echo(f"note: {note}", err=True)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Same as 'homodyne fit CONFIG'.", autocompletion=configs),
    ] = None,
    method: Annotated[
        Literal["nlsq"] | None, typer.Option("--method", help="Only 'nlsq' (with --config).")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output-dir", help="Run directory (with --config).")
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show versions."),
    ] = False,
) -> None:
    """Fit, diagnose and verify XPCS two-time correlation maps of soft matter in flow."""
    given = {"--config": config, "--method": method, "--output-dir": output}
    named = [option for option, value in given.items() if value is not None]
    command = context.invoked_subcommand
    if command is not None and named:
        raise UsageError(
            f"{', '.join(named)}: has no effect on the command {command!r}",
            hint=f"options of a command follow it: homodyne {command} --help lists them",
        )
    if command is None and config is not None:
        raise typer.Exit(run_fit(FitRequest(config, output=output)))
    if command is None:
        raise UsageError(
            f"{', '.join(named) or 'homodyne'}: no config and no command",
            hint="homodyne --config CONFIG, or a command: homodyne --help lists them",
        )


add_command(app, "demo", DemoRequest, partial(run_demo, app))
commands.add_commands(app)
runs.add_commands(app)


class _ErrorsToMessages:
    """Turns what a command raises into a message and an exit code; the only place that does.

    Where a script asked for JSON, the error is an object on stdout as well.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, (SystemExit, KeyboardInterrupt)):
            return
        if isinstance(error, HomodyneError):
            from homodyne_cli.render.console import print_error

            print_error(error)
            self._answer(error)
            raise SystemExit(error.exit_code) from None
        if isinstance(error, ClickException):
            error.show()
            hint = "--help lists what the command takes"
            wrong = UsageError(error.format_message(), hint=hint)
            self._answer(wrong)
            raise SystemExit(ExitCode.USAGE) from None
        traceback.print_exception(kind, error, trace)
        text = "homodyne: internal error; please report it with the lines above"
        sys.stderr.write(f"{text} [{Code.INTERNAL}]\n")
        message = f"{type(error).__name__}: {error}"
        self._answer(HomodyneError(message, hint="report it with what stands on stderr"))
        raise SystemExit(ExitCode.INTERNAL) from None

    def _answer(self, error: HomodyneError) -> None:
        if self._as_json and not error.answered:
            from homodyne_cli.render.console import error_answer, print_json

            print_json({"error": error_answer(error)})


def main() -> None:
    """Run the command line."""
    as_json = "--json" in sys.argv[1:]
    with _ErrorsToMessages(as_json=as_json):
        if as_json:
            # Typer would end the process itself where it cannot read the words.
            raise SystemExit(app(standalone_mode=False) or 0)
        app()
