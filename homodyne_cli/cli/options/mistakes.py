"""What was meant by a word that a command does not take."""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from typer.core import TyperGroup, TyperOption

from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.suffixes import CONFIG_SUFFIXES, DATA_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click import Context
    from typer._click.core import Command

#: Which command a file of a name is for.
_READER_OF = dict.fromkeys(CONFIG_SUFFIXES, "fit") | dict.fromkeys(DATA_SUFFIXES, "inspect")


def no_option(context: Context, word: str) -> UsageError:
    """Return the error for an option that a command has not: another one may have it."""
    command, group = context.command, context.parent.command if context.parent else None
    close = difflib.get_close_matches(word, _options(command), n=1, cutoff=0.75)
    others = group.commands.items() if isinstance(group, TyperGroup) else ()
    owners = [name for name, other in others if word in _options(other)]
    said = [f"did you mean {close[0]}"] if close else []
    if owners:
        said.append(f"it is an option of {_listed(owners)}")
    return _wrong(context, f"no such option: {word}", said)


def not_taken(context: Context, words: Sequence[str], rest: Sequence[str]) -> UsageError:
    """Return the error for words that are left over."""
    command, said = context.command, []
    word = rest[0]
    before = words[words.index(word) - 1]
    flags = [one for one in command.params if isinstance(one, TyperOption) and one.is_flag]
    if any(before in option.opts for option in flags):
        said.append(f"{before} takes no value")
    elif Path(word).suffix in DATA_SUFFIXES and "--data" in _options(command):
        kept = [one for one in words if one not in rest]
        said.append(shlex.join([*context.command_path.split(), *kept, "--data", word]))
    return _wrong(context, f"{shlex.join(rest)}: more than the command takes", said)


def no_command(word: str) -> UsageError | None:
    """Return the error for a file in the place of a command; None for what is none."""
    path = Path(word)
    if not path.exists():
        return None
    command = "show" if path.is_dir() else _READER_OF.get(path.suffix, "")
    hint = shlex.join(["homodyne", command, word]) if command else "homodyne --help lists them"
    return UsageError(f"{word}: no command", hint=hint)


def _wrong(context: Context, message: str, said: Sequence[str]) -> UsageError:
    hint = "; ".join([*said, f"{context.command_path} --help lists what it takes"])
    return UsageError(f"{context.command_path}: {message}", hint=hint)


def _options(command: Command) -> list[str]:
    options = [one for one in command.params if isinstance(one, TyperOption)]
    return [name for option in options for name in (*option.opts, *option.secondary_opts)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
