"""Where each value of a config came from: a place in a file, or a ``--set`` option."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.yaml_text.load import DataPath, Document, parse_scalar
from homodyne_cli.io.yaml_text.scalars import show
from homodyne_cli.parameters import canonical_name

Tree: TypeAlias = dict[str, object]


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


@dataclass(frozen=True)
class Source:
    """Turns paths in the normalised config into places that the user can look at.

    Attributes
    ----------
    document
        The file, None for a config made in memory.
    overrides
        Paths set on the command line.
    moved
        Normalised path -> path as written, where the two differ.
    """

    document: Document | None = None
    overrides: frozenset[DataPath] = frozenset()
    moved: Mapping[DataPath, DataPath] = field(default_factory=dict)

    @property
    def path(self) -> Path | None:
        """The config file."""
        return None if self.document is None else self.document.path

    def written(self, where: DataPath) -> DataPath:
        """Return the path under which the user wrote a value."""
        for length in range(len(where), 0, -1):
            origin = self.moved.get(where[:length])
            if origin is not None:
                return (*origin, *where[length:])
        return where

    def place(self, where: DataPath, *, key: bool = False) -> Location | str:
        """Return the location of a value in the file, or the option that set it.

        `where` is a normalised path; with `key`, the place of the key instead of its value.
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

    def error(
        self, where: DataPath, message: str, *, hint: str | None = None, key: bool = False
    ) -> ConfigError:
        """Return the error to raise for the value at a normalised path."""
        place = self.place(where, key=key)
        if isinstance(place, str):
            name = place.removeprefix("--set ")
            return ConfigError(f"{place}: {message.removeprefix(f'{name}: ')}", hint=hint)
        return ConfigError(message, location=place, hint=hint)

    def name(self, where: DataPath) -> str:
        """Return the dotted name of a normalised path, as the user wrote it."""
        return dotted(self.written(where))


def copy_tree(value: object) -> object:
    """Copy nested mappings and sequences into plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: copy_tree(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_tree(item) for item in value]
    return value


def apply_overrides(data: Tree, overrides: Sequence[str]) -> frozenset[DataPath]:
    """Write ``key.path=value`` settings into `data`, in order.

    Values are read as YAML. A step into a list is an index from 0, or the ``name`` of one of its
    mappings (``parameter_space.bounds.D0.max=1e5``).

    Returns
    -------
    frozenset
        The paths that were set.

    Raises
    ------
    ConfigError
        If a setting has no ``=``, an empty step, or leads through a value that has no keys.
    """
    done: set[DataPath] = set()
    for setting in overrides:
        name, equals, text = setting.partition("=")
        steps = name.strip().split(".")
        if not equals or not all(steps):
            raise ConfigError(
                f"--set {setting}: not of the form key.path=value",
                hint="for example --set optimization.nlsq.max_iterations=200",
            )
        option = f"--set {name.strip()}"
        try:
            value = parse_scalar(text)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error.message}", hint=error.hint) from error
        done.add(_assign(data, steps, value, option))
    return frozenset(done)


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
    if step.isdecimal() and int(step) < len(items):
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
