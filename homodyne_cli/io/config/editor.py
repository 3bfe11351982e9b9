"""Rearrange a config tree while remembering under which path the user wrote each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.source import Source, Tree, dotted, nearest
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import ALIASES, canonical_name


class Editor:
    """A config tree that is being brought into its normal form.

    Attributes
    ----------
    data
        The tree; owned and changed in place.
    unused
        Names of the keys that were found to have no effect, in order, each once.
    """

    def __init__(self, data: Tree, source: Source) -> None:
        self.data = data
        self._source = source
        self._moved: dict[DataPath, DataPath] = {}
        self.unused: dict[str, None] = {}

    @property
    def source(self) -> Source:
        """Where the values came from, moves so far included."""
        return replace(self._source, moved=dict(self._moved))

    def error(
        self, where: DataPath, message: str, *, hint: str | None = None, key: bool = False
    ) -> ConfigError:
        """Return the error to raise for a value; `message` follows its name."""
        source = self.source
        return source.error(where, f"{source.name(where)}: {message}", hint=hint, key=key)

    def get(self, where: DataPath) -> object:
        """Return a value, None if it or a parent is absent."""
        node: object = self.data
        for step in where:
            if not isinstance(node, dict):
                return None
            node = node.get(step)
        return node

    def pop(self, where: DataPath) -> object:
        """Remove and return a value, with the parents that it leaves empty."""
        parent = self.get(where[:-1])
        if not isinstance(parent, dict) or where[-1] not in parent:
            return None
        value = parent.pop(where[-1])
        while not parent and len(where) > 1:
            where = where[:-1]
            above = self.get(where[:-1])
            if isinstance(above, dict):
                del above[where[-1]]
                parent = above
        return value

    def put(self, where: DataPath, value: object, written: DataPath | None = None) -> None:
        """Write a value, creating its parents; `written` is where the user wrote it."""
        node = self.data
        for depth, step in enumerate(where[:-1]):
            child = node.get(str(step))
            if child is None:
                child = node[str(step)] = {}
            if not isinstance(child, dict):
                raise self.error(
                    where[: depth + 1],
                    f"{show(child)} is {kind_of(child)}",
                    hint="it should be a mapping",
                )
            node = child
        node[str(where[-1])] = value
        if written is not None:
            self.move({where: written})

    def move(self, moves: Mapping[DataPath, DataPath]) -> None:
        """Record new path -> old path of values; the old ones hold before any of the moves."""
        source = self.source
        self._moved.update({new: source.written(old) for new, old in moves.items()})

    def rename(self, old: DataPath, new: DataPath, *, must_agree: bool = False) -> None:
        """Let a value act under a new path, unless one is there already.

        With `must_agree` two different values are an error; otherwise the old one is unused.
        A value set on the command line wins over one in the file.
        """
        value = self.get(old)
        if value is None:
            return
        present = self.get(new)
        if present is None or (self._is_set(old) and not self._is_set(new)):
            self.pop(old)
            self.put(new, value, written=old)
        elif not must_agree:
            self.unused[dotted(old)] = None
            self.pop(old)
        elif present == value or self._is_set(new):
            self.pop(old)
        else:
            raise self.error(
                old,
                f"{show(value)} disagrees with {dotted(new)}, {show(present)}",
                hint="they are the same setting; keep one of them",
            )

    def _is_set(self, where: DataPath) -> bool:
        return any(where[:length] in self._source.overrides for length in range(1, len(where) + 1))

    def canonical(self, name: object, where: DataPath, known: tuple[str, ...]) -> str:
        """Return the table's name for a parameter.

        Parameters
        ----------
        name
            As written; aliases are accepted.
        where
            Its place, for the error.
        known
            The names that are accepted here.
        """
        listing = ", ".join(known)
        if not isinstance(name, str):
            message = f"{show(name)} is {kind_of(name)}, not a parameter name"
            raise self.error(where, message, hint=f"parameters are {listing}")
        found = canonical_name(name) or name
        if found in known:
            return found
        if canonical_name(name) is not None:
            mode = self.get(("analysis_mode",))
            message = f"{name!r} is not a parameter of analysis_mode {mode}"
            raise self.error(where, message, hint=f"parameters are {listing}", key=True)
        near = nearest(name, (*known, *ALIASES))
        suggestion = f"did you mean {near!r}? " if near else ""
        raise self.error(
            where,
            f"unknown parameter {name!r}",
            hint=f"{suggestion}parameters are {listing}",
            key=True,
        )
