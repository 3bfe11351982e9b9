"""Where each value of a config came from, and what is wrong with it.

A value is known by its path in the normal form of the config. `Source` turns that into a place in
a file, or a ``--set`` option; it also collects what is refused, so that one run tells it all.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.yaml_text.load import DataPath, Document, parse_scalar
from homodyne_cli.io.yaml_text.scalars import cut, show
from homodyne_cli.io.yaml_text.strict import MAX_DEPTH
from homodyne_cli.parameters import canonical_name

Tree: TypeAlias = dict[str, object]
#: Of a config in which more is wrong, this much is told.
MOST_TOLD: Final = 20


def dotted(where: DataPath) -> str:
    """Return a path as users write it: ``optimization.nlsq.loss``, ``values[2]``."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, None if none is near."""
    lowered = {item.lower(): item for item in known}
    # One letter of two or three is already half of the name.
    cutoff = 0.5 if len(name) <= 3 else 0.6
    match = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=cutoff)
    return lowered[match[0]] if match else None


class _Refusal(NamedTuple):
    place: Location | str
    message: str
    hint: Callable[[], str]
    missing: bool

    @property
    def order(self) -> tuple[bool, int, int]:
        """Options come before the file, and what is missing has no place of its own."""
        place = Location(None) if isinstance(self.place, str) else self.place
        return (self.missing, place.line or 0, place.column or 0)

    @property
    def text(self) -> str:
        """The message behind its place."""
        if isinstance(self.place, str):
            name = self.place.removeprefix("--set ")
            return f"{self.place}: {self.message.removeprefix(f'{name}: ')}"
        return f"{self.place}: {self.message}"


class Source:
    """Where the values of a config came from, and what is wrong with them.

    Parameters
    ----------
    document
        The file, None for a config made in memory.
    """

    def __init__(self, document: Document | None) -> None:
        self.document = document
        self.overrides: set[DataPath] = set()
        self._moved: dict[DataPath, DataPath] = {}
        self._refusals: list[_Refusal] = []
        self._refused: set[DataPath] = set()

    @property
    def path(self) -> Path | None:
        """The config file."""
        return None if self.document is None else self.document.path

    def move(self, moves: Mapping[DataPath, DataPath]) -> None:
        """Record new path -> old path of values; the old ones hold before any of the moves."""
        self._moved.update({new: self.written(old) for new, old in moves.items()})

    def written(self, where: DataPath) -> DataPath:
        """Return the path under which the user wrote a value."""
        for length in range(len(where), 0, -1):
            origin = self._moved.get(where[:length])
            if origin is not None:
                return (*origin, *where[length:])
        return where

    def name(self, where: DataPath) -> str:
        """Return the dotted name of a value, as the user wrote it."""
        return dotted(self.written(where))

    def place(self, where: DataPath, *, key: bool = False) -> Location | str:
        """Return the location of a value in the file, or the option that set it.

        With `key`, the place of the key instead of its value.
        """
        written = self.written(where)
        option = self._option(written)
        if option is not None:
            return f"--set {dotted(option)}"
        if self.document is None:
            return Location(None)
        return self.document.locate(written, key=key)

    def _option(self, written: DataPath) -> DataPath | None:
        for length in range(len(written), 0, -1):
            if written[:length] in self.overrides:
                return written[:length]
        if self.document is None or self.document.contains(written):
            return None
        # A section that exists only because an option set something in it.
        below = (
            path for path in sorted(self.overrides, key=str) if path[: len(written)] == written
        )
        return next(below, None)

    def refuse(
        self,
        where: DataPath,
        message: str,
        *,
        hint: str | Callable[[], str],
        key: bool = False,
        named: bool = True,
        missing: bool = False,
    ) -> None:
        """Note what is wrong with a value, or that it is missing.

        Parameters
        ----------
        message
            Follows the name of the value, unless `named` is off.
        hint
            What would be accepted; called only if it is told.
        key
            The place is that of the key, not of the value.
        """
        text = f"{cut(self.name(where))}: {message}" if named else message
        tell = hint if callable(hint) else lambda: hint
        self._refusals.append(_Refusal(self.place(where, key=key), text, tell, missing))
        self._refused.update(where[:length] for length in range(1, len(where) + 1))
        self._refused.add((*where, "*"))

    def refused(self, where: DataPath) -> bool:
        """Whether something was wrong with a value, with a part of it or with all around it."""
        above = ((*where[:length], "*") for length in range(len(where)))
        return where in self._refused or any(path in self._refused for path in above)

    def check(self) -> None:
        """Raise what was refused, if anything was, in the order of the file."""
        if not self._refusals:
            return
        ordered = sorted(self._refusals, key=lambda refusal: refusal.order)
        if len(ordered) == 1:
            raise ConfigError(ordered[0].text, hint=ordered[0].hint())
        told, more = ordered[:MOST_TOLD], len(ordered) - MOST_TOLD
        messages = [refusal.text for refusal in told] + [f"and {more} more"] * (more > 0)
        hints = [f"{_short(refusal.place)}: {refusal.hint()}" for refusal in told]
        raise ConfigError("\n       ".join(messages), hint="\n      ".join(hints))


def _short(place: Location | str) -> str:
    return place if isinstance(place, str) else str(replace(place, path=None)).rpartition(">:")[2]


def copy_tree(value: object) -> object:
    """Copy nested mappings and sequences into plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: copy_tree(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_tree(item) for item in value]
    return value


def apply_overrides(data: Tree, overrides: Sequence[str], source: Source) -> None:
    """Write ``key.path=value`` settings into `data`, in order.

    Values are read as YAML. A step into a list is an index from 0, or the ``name`` of one of its
    mappings (``parameter_space.bounds.D0.max=1e5``).

    Raises
    ------
    ConfigError
        If a setting has no ``=``, an empty step, or leads through a value that has no keys.
    """
    for setting in overrides:
        name, equals, text = setting.partition("=")
        steps = name.strip().split(".")
        if not equals or not all(steps) or len(steps) > MAX_DEPTH:
            raise ConfigError(
                f"--set {cut(setting)}: not of the form key.path=value",
                hint="for example --set optimization.nlsq.max_iterations=200",
            )
        option = f"--set {name.strip()}"
        try:
            value = parse_scalar(text)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error.message}", hint=error.hint) from error
        source.overrides.add(_assign(data, steps, value, option))


def _assign(data: Tree, steps: Sequence[str], value: object, option: str) -> DataPath:
    node: object = data
    where: DataPath = ()
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(node, list):
            index = _index(node, step, f"{option}: {dotted(where)}")
            where = (*where, index)
            if last:
                node[index] = value
            node = node[index]
        elif isinstance(node, dict):
            where = (*where, step)
            if last:
                node[step] = value
            elif node.get(step) is None:
                node[step] = {}
            node = node[step]
        else:
            message = f"{option}: {dotted(where)} is {show(node)}, not a mapping"
            raise ConfigError(message, hint=f"set {dotted(where)} as a whole")
    return where


def _index(items: list[object], step: str, context: str) -> int:
    if step.isdecimal() and len(step) < 9 and int(step) < len(items):
        return int(step)
    wanted = canonical_name(step) or step
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    for index, name in enumerate(names):
        if isinstance(name, str) and wanted in {name, canonical_name(name)}:
            return index
    if items and all(isinstance(name, str) for name in names) and not step.isdecimal():
        items.append({"name": step})
        return len(items) - 1
    known = ", ".join(str(name) for name in names if name is not None)
    raise ConfigError(
        f"{context} is a list of {len(items)} and has no item {step!r}",
        hint=f"give an index from 0 to {len(items) - 1}" + (f" or one of {known}" * bool(known)),
    )
