"""A command from an annotated frozen dataclass: its fields are the options, its docstring the help.

So an option is one line, in the request that carries it to where it acts.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, get_type_hints

import typer
from typer._click.exceptions import NoSuchOption
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from homodyne_cli.cli.options.mistakes import no_command, no_option, not_taken
from homodyne_cli.errors import UsageError

if TYPE_CHECKING:
    from typer._click import Context
    from typer._click.core import Command, Parameter

Request = TypeVar("Request")


class OnceCommand(TyperCommand):
    """Refuses an option that is given twice, as only the last of its values would act.

    Of a word that it does not take it says who does.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        try:
            rest = _refuse_repeats(self, ctx, args)
        except NoSuchOption as error:
            raise no_option(ctx, error.option_name) from None
        if rest:
            raise not_taken(ctx, args, rest)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return arguments and options as they are shown."""
        return _as_shown(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the line of usage: what need not be given in brackets."""
        pieces = ["[OPTIONS]"]
        for argument in super().get_params(ctx):
            if isinstance(argument, TyperArgument):
                name = f"{argument.metavar}{'...' if argument.nargs != 1 else ''}"
                pieces.append(name if argument.required else f"[{name}]")
        return pieces


class OnceGroup(TyperGroup):
    """Does the same for the options before a command's name."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words after the program's name."""
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return options as they are shown."""
        return _as_shown(super().get_params(ctx))

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Find the command; a file in its place may tell which was meant."""
        if args[0] not in self.commands and (error := no_command(args[0])) is not None:
            raise error
        return super().resolve_command(ctx, args)


def _as_shown(parameters: list[Parameter]) -> list[Parameter]:
    """Take off what typer shows of types that is no help: a flag has no value to be given."""
    for one in parameters:
        if isinstance(one, TyperOption) and one.is_flag and one.metavar is None:
            one.metavar = ""
        if isinstance(one, TyperArgument) and one.nargs != 1:
            one.__dict__["display_type_rich"] = lambda ctx: None
    return parameters


def _refuse_repeats(
    command: TyperCommand | TyperGroup, context: Context, words: list[str]
) -> list[str]:
    """Return the words that are left over."""
    if context.resilient_parsing:
        return []
    _, rest, given = command.make_parser(context).parse_args(args=list(words))
    for option in given:
        if not isinstance(option, TyperOption) or option.multiple or given.count(option) == 1:
            continue
        if not option.is_flag or option.secondary_opts:
            names = " or ".join((*option.opts, *option.secondary_opts))
            raise UsageError(f"{names}: given more than once", hint="keep one of them")
    return rest


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
    # A line's end in the source is none on the screen.
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    app.command(name, cls=OnceCommand, help=text, epilog=epilog)(call)


def run_words(app: typer.Typer, words: Sequence[str]) -> int:
    """Run a command in this process; return its exit code."""
    try:
        app(list(words))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
