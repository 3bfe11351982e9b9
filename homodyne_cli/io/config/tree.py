"""A config on its way to the normal form, with the path under which the user wrote each value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from homodyne_cli.io.config.keys import config_reference, keys_below
from homodyne_cli.io.config.source import Source, Tree, dotted, nearest
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import ALIASES, canonical_name

#: Canonical name -> (value, where it is written).
Named = dict[str, tuple[object, DataPath]]


class ConfigTree:
    """Nested mappings that are rearranged; what is refused is taken out, and told by `source`.

    Attributes
    ----------
    data
        The tree; owned and changed in place.
    unused
        Names of the keys that have no effect, in order, each once.
    """

    def __init__(self, data: Tree, source: Source) -> None:
        self.data = data
        self.source = source
        self.unused: dict[str, None] = {}

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
        if not parent and len(where) > 1:
            self.pop(where[:-1])
        return value

    def put(self, where: DataPath, value: object) -> None:
        """Write a value, creating its parents; a parent that is no mapping is refused instead."""
        node = self.data
        for depth, step in enumerate(where[:-1]):
            if node.get(str(step)) is None:
                node[str(step)] = {}
            child = node[str(step)]
            if not isinstance(child, dict):
                message = f"{show(child)} is {kind_of(child)}"
                self.refuse(where[: depth + 1], message, hint="it should be a mapping")
                return
            node = child
        node[str(where[-1])] = value

    def put_named(self, where: DataPath, named: Named) -> None:
        """Write a mapping by canonical names."""
        self.put(where, {name: value for name, (value, _) in named.items()})
        self.source.move({(*where, name): place for name, (_, place) in named.items()})

    def refuse(self, where: DataPath, message: str, *, hint: str, key: bool = False) -> None:
        """Note what is wrong with a value, and take it out; `message` follows its name."""
        self.source.refuse(where, message, hint=hint, key=key)
        self.pop(where)

    def refuse_key(self, where: DataPath, known: Iterable[str]) -> None:
        """Refuse a key that nothing stands for; `known` are the keys that are accepted there."""
        key, section, known = where[-1], dotted(where[:-1]), tuple(known)

        def hint() -> str:
            near = nearest(str(key), known)
            if near is not None:
                return f"did you mean {near!r}?"
            elsewhere = [row.key for row in config_reference() if row.key.split(".")[-1] == key]
            acting = keys_below(where[:-1]) or known
            return (
                f"it belongs under {elsewhere[0]}" if elsewhere else f"keys are {', '.join(acting)}"
            )

        message = f"unknown key {show(key)}" + (f" in {section}" if section else "")
        self.source.refuse(where, message, hint=hint, key=True, named=False)
        self.pop(where)

    def rename(self, old: DataPath, new: DataPath, *, must_agree: bool = False) -> None:
        """Let a value act under a new path, unless one is there already.

        With `must_agree` two different values are refused; otherwise the old one is unused.
        A value set on the command line wins over one in the file.
        """
        value, present = self.get(old), self.get(new)
        if value is None:
            self.pop(old)
            return
        if present is None or (self._is_set(old) and not self._is_set(new)):
            self.pop(old)
            self.put(new, value)
            self.source.move({new: old})
        elif not must_agree:
            self.unused[dotted(old)] = None
            self.pop(old)
        elif present == value or self._is_set(new):
            self.pop(old)
        else:
            hint = "they are the same setting; keep one of them"
            message = f"{show(value)} disagrees with {dotted(new)}, {show(present)}"
            self.refuse(old, message, hint=hint)

    def _is_set(self, where: DataPath) -> bool:
        set_here = self.source.overrides
        return any(where[:length] in set_here for length in range(1, len(where) + 1))

    def by_name(
        self, items: Iterable[tuple[object, object, DataPath]], known: tuple[str, ...]
    ) -> Named:
        """Return items by canonical names; unknown names and second ones are refused.

        Parameters
        ----------
        items
            Name as written (aliases are accepted), value, and where they stand.
        known
            The names that are accepted.
        """
        named: Named = {}
        for written, value, place in items:
            name = self._canonical(written, place, known)
            if name in named:
                first = self.source.place(named[name][1], key=True)
                hint = f"it is first given at {first}; keep one of them"
                self.source.refuse(place, f"{name} is given twice", hint=hint, key=True)
            elif name is not None:
                named[name] = (value, place)
        return named

    def entries(self, where: DataPath, known: tuple[str, ...]) -> Named | None:
        """Return a mapping from names, or a list of names, by canonical names; None if neither."""
        node = self.get(where)
        if isinstance(node, Mapping):
            items = [(name, value, (*where, name)) for name, value in node.items()]
        elif isinstance(node, list):
            items = [(name, None, (*where, index)) for index, name in enumerate(node)]
        else:
            return None
        return self.by_name(items, known)

    def _canonical(self, name: object, where: DataPath, known: tuple[str, ...]) -> str | None:
        hint = f"parameters are {', '.join(known)}"
        if not isinstance(name, str):
            message = f"{show(name)} is {kind_of(name)}, not a parameter name"
            self.source.refuse(where, message, hint=hint)
            return None
        canonical = canonical_name(name)
        if canonical in known or name in known:
            return canonical or name
        if canonical is not None:
            mode = self.get(("analysis_mode",))
            message = f"{name!r} is not a parameter of analysis_mode {mode}"
        else:
            message = f"unknown parameter {show(name)}"
            near = nearest(name, (*known, *ALIASES))
            hint = f"did you mean {near!r}? {hint}" if near else hint
        self.source.refuse(where, message, hint=hint, key=True)
        return None
