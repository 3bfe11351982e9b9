"""Where the entries of a YAML text stand, to the character, so that it can be edited in place.

PyYAML's marks are nearly enough: a node composed for an alias carries the marks of its anchor,
the end of a block collection lies behind the comments that follow it, and an empty value inside
braces stands at the next token. `MarkedText` corrects these three.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import yaml

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.yaml_text.load import StrictLoader
from homodyne_cli.io.yaml_text.scalars import TAG

#: What PyYAML takes for a line break.
BREAK: Final = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_COLON: Final = re.compile(r"[ \t]*:")
_REST: Final = re.compile(
    r"[ \t]*(?:(?<=[ \t])#[^\r\n\x85\u2028\u2029]*)?(?=[\r\n\x85\u2028\u2029]|\Z)"
)


class Edit(NamedTuple):
    """Replace the characters from `start` to before `end`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return `text` with edits made; those at one place follow each other as given."""
    parts: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join([*parts, text[done:]])


_Span: TypeAlias = tuple[int, int]


class _Recorder(StrictLoader):
    """Composes a document and remembers where its anchors and aliases stand."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchored: set[int] = set()
        self.key_aliases: dict[tuple[int, int], _Span] = {}
        self.value_aliases: dict[tuple[int, int], _Span] = {}

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        if isinstance(event, yaml.AliasEvent) and event.start_mark and event.end_mark:
            # PyYAML passes no index with a key, the key with its value, and an item's number.
            span = (event.start_mark.index, event.end_mark.index)
            if index is None:
                self.key_aliases[id(parent), id(node)] = span
            else:
                slot = index if isinstance(index, int) else id(index)
                self.value_aliases[id(parent), slot] = span
        elif getattr(event, "anchor", None) is not None:
            self.anchored.add(id(node))
        return node


@dataclass(frozen=True)
class Entry:
    """One entry of a mapping.

    Attributes
    ----------
    key, value
        The nodes; of an alias, those of its anchor.
    key_start, key_end
        Indices of the key as it stands here.
    value_start, value_end
        Indices of the value as it stands here; equal for an empty one, which then stands behind
        the colon, or behind the key if there is none.
    has_colon
        Whether there is a colon between them.
    key_alias, value_alias, value_anchored
        Whether the key or value is an alias, or the value an anchor.
    """

    key: yaml.Node
    value: yaml.Node
    key_start: int
    key_end: int
    value_start: int
    value_end: int
    has_colon: bool
    key_alias: bool
    value_alias: bool
    value_anchored: bool

    @property
    def name(self) -> str | None:
        """The key, None unless it is text."""
        return str(self.key.value) if self.key.tag == TAG + "str" else None

    @property
    def empty(self) -> bool:
        """Whether nothing is written for the value."""
        return self.value_start == self.value_end


@dataclass(frozen=True)
class MarkedText:
    """A YAML text without byte order mark, and its nodes."""

    text: str
    path: Path | None
    root: yaml.Node | None
    _loader: _Recorder = field(repr=False)

    @classmethod
    def read(cls, text: str, path: Path | None) -> MarkedText:
        """Mark a text that `load_document` has accepted."""
        loader = _Recorder(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
        return cls(text, path, root, loader)

    def anchored(self, node: yaml.Node) -> bool:
        """Whether a node has an anchor."""
        return id(node) in self._loader.anchored

    def entries(self, mapping: yaml.MappingNode) -> list[Entry]:
        """Return the entries of a mapping, in order."""
        return [self._entry(mapping, key, value) for key, value in mapping.value]

    def _entry(self, mapping: yaml.MappingNode, key: yaml.Node, value: yaml.Node) -> Entry:
        key_alias = self._loader.key_aliases.get((id(mapping), id(key)))
        key_start, key_end = key_alias or _span(key)
        value_alias = self._loader.value_aliases.get((id(mapping), id(key)))
        value_start, value_end = value_alias or _span(value)
        colon = _COLON.match(self.text, key_end)
        if value_start == value_end:
            value_start = value_end = colon.end() if colon else key_end
        return Entry(
            key,
            value,
            key_start,
            key_end,
            value_start,
            value_end,
            colon is not None,
            key_alias is not None,
            value_alias is not None,
            self.anchored(value),
        )

    def content_end(self, entry: Entry) -> int | None:
        """Return where the content of an entry ends, before any comment or line break.

        None if nothing can follow it on a new line: a literal at the end of a text without a
        final line break would then gain one.
        """
        if entry.value_alias or entry.empty:
            return entry.value_end
        return self._end(entry.value)

    def _end(self, node: yaml.Node) -> int | None:
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            return self.content_end(self.entries(node)[-1])
        if isinstance(node, yaml.SequenceNode) and not node.flow_style:
            alias = self._loader.value_aliases.get((id(node), len(node.value) - 1))
            return alias[1] if alias else self._end(node.value[-1])
        if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
            return self._block_scalar_end(node)
        return node.end_mark.index

    def _block_scalar_end(self, node: yaml.ScalarNode) -> int | None:
        if node.end_mark.column != 0:
            return None
        end = node.end_mark.index
        return end - 2 if self.text[end - 2 : end] == "\r\n" else end - 1

    def line_start(self, index: int) -> int:
        """Return the start of the line that holds a character."""
        return max((found.end() for found in BREAK.finditer(self.text, 0, index)), default=0)

    def line_end(self, index: int) -> int:
        """Return the end of a line, before its break."""
        found = BREAK.search(self.text, index)
        return found.start() if found else len(self.text)

    def only_comment_after(self, index: int) -> bool:
        """Whether the rest of the line is blank or a comment."""
        return _REST.match(self.text, index) is not None

    def newline(self, index: int) -> str:
        """Return the line break at the next line's end, else the first one of the text."""
        found = BREAK.search(self.text, index) or BREAK.search(self.text)
        return found[0] if found and found[0] in {"\n", "\r\n", "\r"} else "\n"

    def location(self, index: int) -> Location:
        """Return line and column of a character."""
        line = sum(1 for _ in BREAK.finditer(self.text, 0, index)) + 1
        return Location(self.path, line, index - self.line_start(index) + 1)

    def error(self, index: int, message: str, hint: str) -> ConfigError:
        """Return the error to raise for a character."""
        return ConfigError(message, location=self.location(index), hint=hint)


def _span(node: yaml.Node) -> _Span:
    return node.start_mark.index, node.end_mark.index
