"""From YAML text to nodes and from nodes to data, strictly and within limits.

PyYAML follows YAML 1.1, where ``1e-8`` is text, ``on`` is true, ``1:30`` is ninety and a key
given twice silently keeps its last value. `StrictLoader` resolves plain scalars by the YAML 1.2
core schema instead, and `Builder` refuses what a config never means to say.

A file may come from anywhere. The limits are far above what a config needs, and keep every
refusal within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.yaml_text.scalars import TAG, Scalar, core_schema, cut, read_scalar, show

#: Key -> (key node, value node) of a mapping.
Pairs: TypeAlias = Mapping[Scalar, tuple[yaml.Node, yaml.Node]]

_MERGE: Final = TAG + "merge"
#: Values of a document, aliases written out; PyYAML takes some 0.1 ms for each.
MAX_VALUES: Final = 20_000
#: Levels of nesting; PyYAML composes recursively.
MAX_DEPTH: Final = 60


class LimitError(Exception):
    """A document is larger or deeper than one is taken."""


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain scalars of the YAML 1.2 core schema, within limits.

    Used for composing node trees; `load_document` turns those into data.
    """

    yaml_implicit_resolvers = core_schema()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._composed = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, unless it is one too many or too deep."""
        self._composed += 1
        if self._composed > MAX_VALUES:
            raise LimitError(f"more than {MAX_VALUES} values")
        if self._depth >= MAX_DEPTH:
            raise LimitError("nested too deeply")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _at(node: yaml.Node, path: Path | None) -> Location:
    return Location(path, node.start_mark.line + 1, node.start_mark.column + 1)


class Builder:
    """Turns a node tree into data, each node once, remembering where mapping entries stand."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.entries: dict[int, dict[Scalar, tuple[yaml.Node, yaml.Node]]] = {}
        self._built: dict[int, object] = {}
        self._open: set[int] = set()
        self._size: dict[int, tuple[int, int]] = {}
        self._merged = 0

    def build(self, node: yaml.Node) -> object:
        """Return the data of a node."""
        if id(node) in self._built:
            return self._built[id(node)]
        if id(node) in self._open:
            raise ConfigError("an alias contains itself", location=_at(node, self.path))
        self._open.add(id(node))
        value: object
        if isinstance(node, yaml.ScalarNode):
            value = self._scalar(node)
        elif isinstance(node, yaml.MappingNode):
            self._expect_tag(node, "map")
            pairs = self._entries_of(node)
            self.entries[id(node)] = pairs
            value = {key: self.build(pair[1]) for key, pair in pairs.items()}
            self._measure(node, [pair[1] for pair in pairs.values()])
        else:
            self._expect_tag(node, "seq")
            value = [self.build(item) for item in node.value]
            self._measure(node, node.value)
        self._open.discard(id(node))
        self._built[id(node)] = value
        return value

    def _measure(self, node: yaml.Node, children: Sequence[yaml.Node]) -> None:
        # A few nested aliases can stand for more values, and more levels, than fit in memory.
        sizes = [self._size.get(id(child), (1, 0)) for child in children]
        size = 1 + sum(size for size, _ in sizes)
        depth = 1 + max((depth for _, depth in sizes), default=0)
        if size > MAX_VALUES:
            message = f"its aliases expand to more than {MAX_VALUES} values"
            raise ConfigError(message, location=_at(node, self.path))
        if depth > MAX_DEPTH:
            raise LimitError("nested too deeply")
        self._size[id(node)] = size, depth

    def _expect_tag(self, node: yaml.Node, name: str) -> None:
        if node.tag != TAG + name:
            raise self._bad_tag(node)

    def _bad_tag(self, node: yaml.Node) -> ConfigError:
        tag = str(node.tag).replace(TAG, "!!")
        return ConfigError(
            f"the tag {cut(tag)} is not supported",
            location=_at(node, self.path),
            hint="remove the tag",
        )

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        tag = str(node.tag).removeprefix(TAG)
        try:
            return read_scalar(tag, str(node.value))
        except KeyError as error:
            raise self._bad_tag(node) from error
        except ValueError as error:
            raise ConfigError(str(error), location=_at(node, self.path)) from error

    def _entries_of(self, node: yaml.MappingNode) -> dict[Scalar, tuple[yaml.Node, yaml.Node]]:
        """Return key -> (key node, value node); own keys win over merged ones."""
        own: dict[Scalar, tuple[yaml.Node, yaml.Node]] = {}
        merges: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                place = _at(key_node, self.path)
                raise ConfigError("a key is a list or a mapping", location=place)
            key = self._scalar(key_node)
            if key in own:
                raise ConfigError(
                    f"the key {show(key)} is given twice",
                    location=_at(key_node, self.path),
                    hint=f"it is first given at {_at(own[key][0], self.path)}; keep one of them",
                )
            own[key] = (key_node, value_node)
            if key_node.tag == _MERGE:
                merges.append(value_node)
        if not merges:
            return own
        del own["<<"]
        for source in self._merge_sources(merges[0]):
            self.build(source)
            entries = self.entries[id(source)]
            self._merged += len(entries)
            if self._merged > MAX_VALUES:
                raise LimitError(f"its merges add more than {MAX_VALUES} values")
            for key, pair in entries.items():
                own.setdefault(key, pair)
        return own

    def _merge_sources(self, node: yaml.Node) -> Iterator[yaml.Node]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise ConfigError(
                    "'<<' merges mappings only",
                    location=_at(source, self.path),
                    hint="write '<<: *name' with an alias of a mapping, or a list of such aliases",
                )
            yield source
