"""Put entries into the ``x_scale_map`` of a YAML text, and nothing else.

PyYAML's marks say where the map stands, or where it belongs. There are three ways to put numbers
in: those of the map are replaced in place, an empty value (null or ``{}``) is filled, and what is
missing is appended to the mapping that lacks it, in the style (block or flow, indentation, line
breaks) of what surrounds it. What else YAML may hold need not be foreseen here: the result is read
again by who asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.config.tree import dotted
from homodyne_cli.io.scale_fix.scale_fix import (
    MAP_PATH,
    block_lines,
    not_a_mapping,
    number_text,
    value_at,
)
from homodyne_cli.io.yaml_text.load import Document
from homodyne_cli.io.yaml_text.marks import BREAK, Node, read_nodes
from homodyne_cli.parameters import canonical_name

_DEFAULT_STEP: Final = 2
_NEWLINE: Final = re.compile(r"\r\n|[\r\n]")
_COMMA: Final = re.compile(r"[ \t]*,")
_REST_OF_LINE: Final = re.compile(
    r"[ \t]*(?:(?<=[ \t])#[^\r\n\x85\u2028\u2029]*)?(?=[\r\n\x85\u2028\u2029]|\Z)"
)
#: A comment line that is indented by at least a number of spaces, with blank lines before it.
_COMMENT_LINES: Final = r"(?:(?:\r\n|[\r\n])[ \t]*)*?(?:\r\n|[\r\n]) {%d,}#[^\r\n\x85\u2028\u2029]*"
_SPREADS: Final = "an edit there may change other places"
_OR_NOTHING: Final = "write a mapping there, or leave it out"
_BY_HAND: Final = "write optimization.nlsq.x_scale_map out in the file, without &, * and <<"


#: Replace the characters from the first index to before the second.
_Edit: TypeAlias = tuple[int, int, str]


def insert_entries(document: Document, text: str, entries: Mapping[str, float]) -> str:
    """Return a text with entries in its map, under names that it has or new ones.

    Raises
    ------
    ConfigError
        If a parent of the map is not a mapping, or an anchor, alias or merge key stands there.
    """
    result = text
    edits = sorted(_Editor(document, text, entries).plan(), key=lambda edit: edit[0])
    for start, end, new in reversed(edits):
        result = result[:start] + new + result[end:]
    return result


def flow_text(keys: Sequence[str], entries: Mapping[str, float]) -> str:
    """Return ``{a: {b: {D0: 1.0}}}`` for the keys a, b."""
    inner = ", ".join(f"{name}: {number_text(value)}" for name, value in entries.items())
    return "".join(f"{{{key}: " for key in keys) + f"{{{inner}}}" + "}" * len(keys)


class _Editor:
    """Puts entries into the map of a text."""

    def __init__(self, document: Document, text: str, entries: Mapping[str, float]) -> None:
        self.document = document
        self.text = text
        self.entries = entries
        #: How much deeper a mapping stands than the one around it: that of the nearest parents,
        #: else the most common one of the text.
        self.step = _DEFAULT_STEP

    def plan(self) -> Iterator[_Edit]:
        """Follow the path to the map as far as the text has it, and edit there."""
        node = read_nodes(self.text)
        if node is None or node.start == node.end:
            place = len(self.text) if node is None else node.start
            yield self._lines(place, block_lines(MAP_PATH, self.entries, 0, _DEFAULT_STEP))
            return
        steps = list(_steps(node))
        self.step = max(steps, key=steps.count, default=_DEFAULT_STEP)
        key = parent = node
        for depth in range(len(MAP_PATH) + 1):
            where, keys = MAP_PATH[:depth], MAP_PATH[depth:]
            self._refuse_shared(where, key, node)
            data = value_at(self.document.data, where)
            if data is None or data == {}:
                yield from self._fill(parent, key, node, keys)
                return
            if node.entries is None:
                raise not_a_mapping(self.document, data, where, _OR_NOTHING)
            if parent.column is not None and node.column is not None:
                self.step = node.column - parent.column or self.step
            entry = next((pair for pair in node.entries if pair[0].text in keys[:1]), None)
            if entry is None:
                break
            parent, (key, node) = node, entry
        for name, _ in node.entries or ():
            if name.text == "<<" and not name.style:
                raise self._error(name, where, f"has a merge key: {_SPREADS}", _BY_HAND)
        yield from self._append(node, keys, self.entries) if keys else self._update(node)

    def _refuse_shared(self, where: tuple[str, ...], *nodes: Node) -> None:
        for node in nodes:
            if node.shared:
                what = f"has an anchor or is an alias: {_SPREADS}"
                raise self._error(node, where, what, _BY_HAND)

    def _error(self, node: Node, where: tuple[str, ...], what: str, hint: str) -> ConfigError:
        line = sum(1 for _ in BREAK.finditer(self.text, 0, node.start)) + 1
        column = node.start - self._line_start(node.start) + 1
        place = Location(self.document.path, line, column)
        return ConfigError(f"{dotted(where) or 'the top level'} {what}", location=place, hint=hint)

    # The three ways

    def _fill(self, parent: Node, key: Node, node: Node, keys: Sequence[str]) -> Iterator[_Edit]:
        """Give a value to a key that has null or ``{}``; below it if that is on the key's line."""
        colon = self.text.find(":", key.end, node.start)
        on_one_line = colon >= 0 and BREAK.search(self.text, key.start, node.end) is None
        if parent.column is not None and on_one_line:
            lines = block_lines(keys, self.entries, parent.column + self.step, self.step)
            yield colon + 1, node.end, ""
            yield self._lines(self._line_end(node.end), lines)
            return
        text = flow_text(keys, self.entries)
        brace = self.text.find("{", node.start, node.end) + 1
        if brace:
            yield brace, brace, text[1:-1]
        else:
            yield node.start, node.end, self._joint(key, node) + text

    def _update(self, mapping: Node) -> Iterator[_Edit]:
        """Replace numbers of the map in place and append those that it lacks."""
        written: dict[str, str] = {}
        for key, value in mapping.entries or ():
            text = key.text or ""
            where = (*MAP_PATH, text)
            name = canonical_name(text) or text
            if name in written:
                what = f"is the same parameter as {written[name]} above"
                raise self._error(key, where, what, "keep one of them")
            written[name] = text
            if text in self.entries:
                self._refuse_shared(where, key, value)
                if value.text is None or value.style in {"|", ">"}:
                    hint = "write a number there, or remove the entry"
                    raise self._error(value, where, "is not a number", hint)
                number = number_text(self.entries[text])
                yield value.start, value.end, self._joint(key, value) + number
        missing = {k: v for k, v in self.entries.items() if k not in written.values()}
        if missing:
            yield from self._append(mapping, (), missing)

    def _append(
        self, mapping: Node, keys: Sequence[str], entries: Mapping[str, float]
    ) -> Iterator[_Edit]:
        """Add keys and the entries below them behind the last entry of a mapping."""
        key, last = (mapping.entries or ())[-1]
        if mapping.column is not None:
            lines = block_lines(keys, entries, mapping.column, self.step)
            yield self._lines(self._place_below(key, last, mapping.column), lines)
            return
        items = [f"{name}: {number_text(value)}" for name, value in entries.items()]
        if keys:
            items = [flow_text(keys, entries)[1:-1]]
        comma = _COMMA.match(self.text, last.end)
        after = comma.end() if comma else last.end
        line = self._line_start(key.start)
        indent = self.text[line : key.start]
        on_own_line = line > mapping.start and not indent.strip(" ")
        gap = self._newline(last.end) + indent if on_own_line else " "
        body = gap + f",{gap}".join(items)
        if not (on_own_line and _REST_OF_LINE.match(self.text, after)):
            yield last.end, last.end, "," + body
            return
        # Behind the comment of the last entry; a final comma stays a final comma.
        place = self._line_end(after)
        yield last.end, last.end, "" if comma else ","
        yield place, place, body + ("," if comma else "")

    # Places and lines

    def _joint(self, key: Node, value: Node) -> str:
        """Return what separates a new value from its key where nothing is written for it yet."""
        if value.start < value.end:
            return ""
        return " " if ":" in self.text[key.end : value.start] else ": "

    def _place_below(self, key: Node, last: Node, column: int) -> int:
        """Return the place behind the last entry and behind comments indented into it.

        Nothing can follow a block scalar that the text's end ends: that one's line stays last.
        """
        if last.open:
            return self._line_start(key.start)
        place = self._line_end(last.end)
        inner_comment = re.compile(_COMMENT_LINES % (column + 1))
        while comment := inner_comment.match(self.text, place):
            place = comment.end()
        return place

    def _lines(self, place: int, lines: Sequence[str]) -> _Edit:
        """Put whole lines behind the line that ends at a place, or before the one it starts."""
        newline = self._newline(place)
        if BREAK.match(self.text, place) or (place and not BREAK.match(self.text, place - 1)):
            return place, place, "".join(newline + line for line in lines)
        return place, place, "".join(line + newline for line in lines)

    def _newline(self, index: int) -> str:
        """Return the line break at the next line's end, else the first one of the text."""
        newline = _NEWLINE.search(self.text, index) or _NEWLINE.search(self.text)
        return newline[0] if newline else "\n"

    def _line_start(self, index: int) -> int:
        return max((end.end() for end in BREAK.finditer(self.text, 0, index)), default=0)

    def _line_end(self, index: int) -> int:
        end = BREAK.search(self.text, index)
        return end.start() if end else len(self.text)


def _steps(node: Node) -> Iterator[int]:
    """Yield how much deeper each block mapping stands than the one around it."""
    for _, value in node.entries or ():
        if node.column is not None and value.column is not None:
            yield value.column - node.column
        yield from _steps(value)
