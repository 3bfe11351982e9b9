"""A config on its way to its normal form: values that know where the user wrote them.

Whatever moves a value takes its `Node` along, so that an error found at the end of the way still
names the place in the file, or the ``--set`` option, where it began. What is refused stays where it
is, marked as bad, and all refusals are told together.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.config.keys import config_keys
from homodyne_cli.io.yaml_text.load import DataPath, Document
from homodyne_cli.io.yaml_text.scalars import cut, kind_of, show
from homodyne_cli.parameters import ALIASES, canonical_name

Place: TypeAlias = Location | str
#: Dotted, or steps where some are indices.
Steps: TypeAlias = str | DataPath
#: Whether something is missing, and so without a place of its own; line and column, 0 for options.
Order: TypeAlias = tuple[bool, int, int]
#: Of a config in which more is wrong, this much is told.
MOST_TOLD: Final = 20


def _steps(where: Steps) -> DataPath:
    return tuple(where.split(".")) if isinstance(where, str) else where


def dotted(where: DataPath) -> str:
    """Return a path as users write it: ``optimization.nlsq.loss``, ``values[2]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return text.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, None if none is near."""
    lowered = {item.lower(): item for item in known}
    # One letter of two or three is already half of the name.
    cutoff = 0.5 if len(name) <= 3 else 0.6
    match = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=cutoff)
    return lowered[match[0]] if match else None


@dataclass
class Node:
    """A value and where it was written.

    Attributes
    ----------
    value
        A scalar, or a dict or list of nodes.
    where
        Keys and indices as the user wrote them.
    at, key_at
        The place of the value and of its key in the file, or the option that set it.
    bad
        Whether it was refused.
    """

    value: object
    where: DataPath
    at: Place
    key_at: Place
    bad: bool = False

    @property
    def name(self) -> str:
        """Its dotted name, as the user wrote it."""
        return cut(dotted(self.where))

    @property
    def entries(self) -> dict[str, Node]:
        """The nodes below by their keys, empty if it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The nodes below in order, empty if it is neither a mapping nor a list."""
        return self.value if isinstance(self.value, list) else list(self.entries.values())

    @property
    def spoilt(self) -> bool:
        """Whether it, or a part of it, was refused."""
        return self.bad or any(node.spoilt for node in self.items)

    def child(self, step: str | int) -> Node | None:
        """Return the node below, None if there is none."""
        if isinstance(step, int):
            inside = isinstance(self.value, list) and step < len(self.value)
            return self.items[step] if inside else None
        return self.entries.get(step)

    def become(self, value: object) -> Node:
        """Return another value written at the same place."""
        return replace(self, value=value)

    def plain(self) -> object:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.entries.items()}
        return [node.plain() for node in self.items] if isinstance(self.value, list) else self.value


class ConfigTree:
    """The nodes of a config, and what is wrong with them.

    Attributes
    ----------
    root
        The whole config.
    unused
        Names of the keys that have no effect, in order, each once.
    """

    def __init__(self, data: Mapping[str, object], document: Document | None) -> None:
        self._document = document
        self._refusals: list[tuple[Order, str, str, Callable[[], str]]] = []
        self.unused: dict[str, None] = {}
        self.root = self.grow(data, ())

    def grow(self, data: object, where: DataPath, option: str | None = None) -> Node:
        """Return nested data as nodes; `option` is what set it, None for the file."""
        at: Place = option or self._locate(where, key=False)
        key_at: Place = option or self._locate(where, key=True)
        node = Node(data, where, at, key_at)
        if isinstance(data, Mapping):
            below = {key: self.grow(item, (*where, key), option) for key, item in data.items()}
            for key in [key for key in below if not isinstance(key, str)]:
                message = f"the key {show(key)} is {kind_of(key)}"
                self.refuse(below.pop(key), message, hint="keys are text", key=True)
            return node.become(below)
        if isinstance(data, (list, tuple)):
            items = [self.grow(item, (*where, i), option) for i, item in enumerate(data)]
            return node.become(items)
        return node

    def _locate(self, where: DataPath, *, key: bool) -> Location:
        return Location(None) if self._document is None else self._document.locate(where, key=key)

    def around(self, where: Steps) -> Node:
        """Return the node at a path, or the nearest one above it that exists."""
        node = self.root
        for step in _steps(where):
            below = node.child(step)
            if below is None:
                break
            node = below
        return node

    def find(self, where: Steps) -> Node | None:
        """Return the node at a path, None if there is none or if it is null."""
        node: Node | None = self.root
        for step in _steps(where):
            node = None if node is None else node.child(step)
        return None if node is None or node.value is None else node

    def spoilt(self, where: Steps) -> bool:
        """Whether something was wrong with a value, with a part of it or with all around it."""
        node, steps = self.find(where), _steps(where)
        above = any(self.around(steps[:length]).bad for length in range(len(steps) + 1))
        return above or (node is not None and node.spoilt)

    def take(self, where: str) -> Node | None:
        """Remove and return a node, with the parents that it leaves empty; None if it is null."""
        above, _, name = where.rpartition(".")
        node, parent = self.find(where), self.find(above) if above else self.root
        if parent is not None and name in parent.entries:
            del parent.entries[name]
            if above and not parent.entries:
                self.take(above)
        return node

    def put(self, where: str, node: Node) -> None:
        """Put a node, creating its parents; a parent that is no mapping is refused instead."""
        parent, (*above, name) = self.root, where.split(".")
        for step in above:
            below = parent.entries.get(step)
            if below is None or below.value is None:
                below = parent.entries[step] = node.become({})
            if not isinstance(below.value, dict):
                message = f"{show(below.value)} is {kind_of(below.value)}"
                self.refuse(below, message, hint="it should be a mapping")
                return
            parent = below
        parent.entries[name] = node

    def by_name(
        self, items: Iterable[tuple[object, Node]], known: Sequence[str]
    ) -> dict[str, Node]:
        """Return nodes by canonical parameter names; unknown names and second ones are refused.

        Parameters
        ----------
        items
            Name as written (aliases are accepted), and node.
        known
            The names that are accepted.
        """
        named: dict[str, Node] = {}
        for written, node in items:
            name = self._canonical(written, node, known)
            if name in named:
                hint = f"it is first given at {named[name].key_at}; keep one of them"
                self.refuse(node, f"{name} is given twice", hint=hint, key=True)
                named[name].bad = True
            else:
                named[name] = node
        return named

    def entries(self, where: str, known: Sequence[str]) -> dict[str, Node] | None:
        """Return a mapping from names, or a list of names, by canonical names; None if neither."""
        node = self.find(where)
        if node is None or not isinstance(node.value, (dict, list)):
            return None
        listed = isinstance(node.value, list)
        return self.by_name(
            [(item.value, item) for item in node.items] if listed else node.entries.items(), known
        )

    def _canonical(self, name: object, node: Node, known: Sequence[str]) -> str:
        hint = f"parameters are {', '.join(known)}"
        if not isinstance(name, str):
            message = f"{show(node.plain())} is {kind_of(node.plain())}, not a parameter name"
            self.refuse(node, message, hint=hint)
            return node.name
        canonical = canonical_name(name)
        if canonical in known or name in known:
            return canonical or name
        if canonical is not None:
            mode = self.around("analysis_mode").value
            message = f"{name!r} is not a parameter of analysis_mode {mode}"
        else:
            message = f"unknown parameter {show(name)}"
            near = nearest(name, (*known, *ALIASES))
            hint = f"did you mean {near!r}? {hint}" if near else hint
        self.refuse(node, message, hint=hint, key=True)
        return node.name

    def refuse_key(self, node: Node, known: Iterable[str], unused: Iterable[str] = ()) -> None:
        """Refuse a key that nothing stands for.

        Parameters
        ----------
        known, unused
            Keys that act there, and those that are accepted but have no effect: nobody is told to
            use one.
        """
        key, section, known = node.where[-1], dotted(node.where[:-1]), tuple(known)

        def hint() -> str:
            if near := nearest(str(key), (*known, *unused)):
                return f"did you mean {near!r}?"
            elsewhere = [row.key for row in config_keys() if row.path[-1] == key]
            keys = f"keys are {', '.join(known)}"
            return f"it belongs under {elsewhere[0]}" if elsewhere else keys

        message = f"unknown key {show(key)}" + (f" in {section}" if section else "")
        self.refuse(node, message, hint=hint, key=True, named=False)

    def refuse(
        self,
        node: Node,
        message: str,
        *,
        hint: str | Callable[[], str],
        key: bool = False,
        named: bool = True,
        missing: bool = False,
    ) -> None:
        """Note what is wrong with a node, or that something below it is missing.

        Parameters
        ----------
        message
            Follows the name of the node, unless `named` is off.
        hint
            What would be accepted; called only if it is told.
        key
            The place is that of the key, not of the value.
        """
        place = node.key_at if key else node.at
        order, short = (missing, 0, 0), str(place)
        if isinstance(place, str):
            option = place.removeprefix("--set ")
            named = named and option != node.name
            message = message.removeprefix(f"{option}: ")
        else:
            order = (missing, place.line or 0, place.column or 0)
            short = f"{place.line}:{place.column}"
        text = f"{place}: {node.name}: {message}" if named else f"{place}: {message}"
        tell = hint if callable(hint) else lambda: hint
        self._refusals.append((order, text, short, tell))
        node.bad = node.bad or not missing

    def check(self) -> None:
        """Raise what was refused, if anything was, in the order of the file."""
        ordered = sorted(self._refusals, key=lambda refusal: refusal[0])
        told, more = ordered[:MOST_TOLD], len(ordered) - MOST_TOLD
        if len(told) == 1:
            raise ConfigError(told[0][1], hint=told[0][3]())
        if told:
            messages = [text for _, text, _, _ in told] + [f"and {more} more"] * (more > 0)
            hints = [f"{short}: {hint()}" for _, _, short, hint in told]
            raise ConfigError("\n       ".join(messages), hint="\n      ".join(hints))
