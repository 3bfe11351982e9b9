"""A command from an annotated frozen dataclass: its fields are the options, its docstring the help.

So an option is one line, in the request that carries it to where it acts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from homodyne_cli.errors import UsageError

if TYPE_CHECKING:
    from typer._click import Context

Request = TypeVar("Request")


class OnceCommand(TyperCommand):
    """Refuses an option that is given twice: only the last of its values would act."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


class OnceGroup(TyperGroup):
    """Does the same for the options before a command's name."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words after the program's name."""
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


def _refuse_repeats(command: TyperCommand | TyperGroup, context: Context, words: list[str]) -> None:
    if context.resilient_parsing:
        return
    _, _, given = command.make_parser(context).parse_args(args=list(words))
    for option in given:
        if not isinstance(option, TyperOption) or option.multiple or given.count(option) == 1:
            continue
        if not option.is_flag or option.secondary_opts:
            names = " or ".join((*option.opts, *option.secondary_opts))
            raise UsageError(f"{names}: given more than once", hint="keep one of them")


def add_command(
    app: typer.Typer, name: str, request: type[Request], run: Callable[[Request], int]
) -> None:
    """Make `run` a command.

    Parameters
    ----------
    request
        Frozen dataclass whose fields are annotated with Typer's options and arguments; its
        docstring may end with an example, which is shown after them.
    run
        Takes the request and returns the exit code.
    """
    hints = get_type_hints(request, include_extras=True)

    def call(**options: object) -> None:
        raise typer.Exit(run(request(**options)))

    parameters = inspect.signature(request).parameters.values()
    call.__dict__["__signature__"] = inspect.Signature(
        [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in parameters]
    )
    call.__annotations__ = hints
    text, marker, example = (inspect.getdoc(request) or "").partition("\n\nExample: ")
    epilog = marker.strip() + " " + example if example else None
    app.command(name, cls=OnceCommand, help=text, epilog=epilog)(call)


def run_words(app: typer.Typer, words: Sequence[str]) -> int:
    """Run a command in this process; return its exit code."""
    try:
        app(list(words))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
