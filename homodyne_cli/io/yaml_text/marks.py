"""Where the nodes of a YAML text stand, to the character, so that it can be edited in place.

PyYAML's events tell it, but for two ends: a block collection ends, for PyYAML, behind the comments
that follow it, and a value that is left out where there is no colon stands at the next token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

import yaml

from homodyne_cli.io.yaml_text.strict import StrictLoader

#: What PyYAML takes for a line break.
BREAK: Final = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True)
class Node:
    """A value or key as it stands in the text.

    Attributes
    ----------
    start, end
        Indices of its first character, that of its anchor or tag if it has one, and of the one
        behind its last, before any comment or line break. Of an alias, those of the alias.
    text
        Of a scalar (or an alias of one), without quotes; None for collections.
    style
        ``'``, ``"``, ``|`` or ``>`` of a scalar, empty for a plain one.
    shared
        Whether it has an anchor or is an alias.
    column
        Of the keys of a block mapping; None for everything else.
    entries
        Keys and values of a mapping; None for everything else, and behind an alias.
    open
        Whether it ends with a block scalar that only the end of the text ends: a line put behind
        it would add a line break to it.
    """

    start: int
    end: int
    text: str | None = None
    style: str = ""
    shared: bool = False
    column: int | None = None
    entries: tuple[tuple[Node, Node], ...] | None = None
    open: bool = False


def read_nodes(text: str) -> Node | None:
    """Return the top node of a text that `load_document` has accepted; None if it is empty."""
    events = yaml.parse(text, StrictLoader)
    first = next((event for event in events if isinstance(event, yaml.NodeEvent)), None)
    return None if first is None else _Reader(text, events).node(first)


class _Mark(Protocol):
    index: int
    column: int


class _Reader:
    def __init__(self, text: str, events: Iterator[yaml.Event]) -> None:
        self.text = text
        self.events = events
        self.anchored: dict[str, Node] = {}

    def node(self, event: yaml.NodeEvent) -> Node:
        start, (end, column) = _place(event.start_mark)[0], _place(event.end_mark)
        anchor = event.anchor
        if isinstance(event, yaml.AliasEvent) and anchor is not None:
            anchored = self.anchored[anchor]
            return replace(anchored, start=start, end=end, column=None, entries=None)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(start, end, event.value, event.style or "")
            if node.style in {"|", ">"}:
                node = self.block_scalar(node, column)
        elif isinstance(event, yaml.CollectionStartEvent) and event.flow_style:
            node = self.collection(event, start, None)
        else:
            node = self.collection(event, start, column)
        if anchor is not None:
            node = self.anchored[anchor] = replace(node, shared=True)
        return node

    def block_scalar(self, node: Node, column: int) -> Node:
        """Take the last line break from a scalar that ends at the start of a line."""
        if column:
            return replace(node, open=True)
        length = 2 if self.text.endswith("\r\n", 0, node.end) else 1
        return replace(node, end=node.end - length)

    def collection(self, event: yaml.NodeEvent, start: int, column: int | None) -> Node:
        """Read what a collection holds; `column` is that of a block collection."""
        children: list[Node] = []
        while isinstance(child := next(self.events), yaml.NodeEvent):
            children.append(self.node(child))
        node = Node(start, _place(child.end_mark)[0])
        if isinstance(event, yaml.MappingStartEvent):
            pairs = zip(children[::2], children[1::2], strict=True)
            entries = tuple((key, self.value_of(key, value)) for key, value in pairs)
            children = [value for _, value in entries]
            node = replace(node, column=column, entries=entries)
        if column is None:
            return node
        return replace(node, end=children[-1].end, open=children[-1].open)

    def value_of(self, key: Node, value: Node) -> Node:
        """Return the value of a key; one that is left out without a colon follows its key."""
        if value.start < value.end or ":" in self.text[key.end : value.start]:
            return value
        return replace(value, start=key.end, end=key.end)


def _place(mark: _Mark | None) -> tuple[int, int]:
    return (0, 0) if mark is None else (mark.index, mark.column)
