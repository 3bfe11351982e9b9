"""Find the characters to put into a YAML text so that it holds an ``x_scale_map``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import yaml

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.source import dotted
from homodyne_cli.io.scale_fix.scale_fix import MAP_PATH, number_text
from homodyne_cli.io.yaml_text.marks import BREAK, Edit, Entry, MarkedText
from homodyne_cli.io.yaml_text.scalars import TAG, read_scalar
from homodyne_cli.parameters import canonical_name

_DEFAULT_STEP: Final = 2
_COMMA: Final = re.compile(r"[ \t]*,")
#: A comment line that is indented by at least a number of spaces, with blank lines before it.
_COMMENT_LINES: Final = r"(?:(?:\r\n|[\r\n])[ \t]*)*?(?:\r\n|[\r\n]) {%d,}#[^\r\n\x85\u2028\u2029]*"
_NULL: Final = TAG + "null"
_NUMBERS: Final = frozenset({TAG + "int", TAG + "float"})
_BY_HAND: Final = "write optimization.nlsq.x_scale_map out in the file, without &, * and <<"


def flow_text(keys: Sequence[str], scale: Mapping[str, float]) -> str:
    """Return ``{a: {b: {D0: 1.0}}}`` for the keys a, b."""
    inner = ", ".join(f"{name}: {number_text(value)}" for name, value in scale.items())
    return "".join(f"{{{key}: " for key in keys) + f"{{{inner}}}" + "}" * len(keys)


def block_lines(
    keys: Sequence[str], scale: Mapping[str, float], column: int, step: int
) -> list[str]:
    """Return the lines of a block mapping that starts at a column."""
    lines = [f"{' ' * (column + i * step)}{key}:" for i, key in enumerate(keys)]
    indent = " " * (column + len(keys) * step)
    return lines + [f"{indent}{name}: {number_text(value)}" for name, value in scale.items()]


def plan_edits(marked: MarkedText, scale: Mapping[str, float]) -> list[Edit]:
    """Return the edits that merge `scale` into the map; none if it holds these values.

    Raises
    ------
    ConfigError
        If a parent of the map is not a mapping, or an anchor, alias or merge key stands there.
    """
    return _Planner(marked, scale).plan()


class _Planner:
    def __init__(self, marked: MarkedText, scale: Mapping[str, float]) -> None:
        self.marked = marked
        self.scale = scale
        self.step: int | None = None

    def plan(self) -> list[Edit]:
        root = self.marked.root
        if root is None or _is_empty_scalar(root):
            return self._into_empty_file(root)
        mapping = self._mapping(root, "the top level", root.start_mark.index)
        if self.marked.anchored(root):
            raise self._refuse(root.start_mark.index, "an anchor is on the top level")
        for depth, name in enumerate(MAP_PATH):
            entry = self._find(mapping, name)
            if entry is None:
                self._refuse_merge(mapping, dotted(MAP_PATH[:depth]) or "the top level")
                return self._insert(mapping, MAP_PATH[depth:])
            self._refuse_shared(entry, dotted(MAP_PATH[: depth + 1]))
            if _is_hollow(entry.value):
                return self._fill(mapping, entry, MAP_PATH[depth + 1 :])
            child = self._mapping(entry.value, dotted(MAP_PATH[: depth + 1]), entry.value_start)
            self._measure(mapping, child)
            mapping = child
        return self._update(mapping)

    # What may be edited

    def _mapping(self, node: yaml.Node, name: str, index: int) -> yaml.MappingNode:
        if isinstance(node, yaml.MappingNode):
            return node
        kind = "a list" if isinstance(node, yaml.SequenceNode) else f"{str(node.value)[:60]!r}"
        message = f"{name} is {kind}, not a mapping"
        raise self.marked.error(index, message, "write a mapping there, or leave it out")

    def _find(self, mapping: yaml.MappingNode, name: str) -> Entry | None:
        return next((e for e in self.marked.entries(mapping) if e.name == name), None)

    def _refuse(self, index: int, what: str) -> ConfigError:
        return self.marked.error(index, f"{what}: an edit there may change other places", _BY_HAND)

    def _refuse_shared(self, entry: Entry, name: str) -> None:
        if entry.key_alias:
            raise self._refuse(entry.key_start, f"the key {name} is an alias")
        if entry.value_alias:
            raise self._refuse(entry.value_start, f"{name} is an alias")
        if entry.value_anchored:
            raise self._refuse(entry.value_start, f"{name} has an anchor")

    def _refuse_merge(self, mapping: yaml.MappingNode, name: str) -> None:
        for entry in self.marked.entries(mapping):
            if entry.key.tag == TAG + "merge":
                raise self._refuse(entry.key_start, f"{name} has a merge key")

    # Columns

    def _column(self, entries: Sequence[Entry]) -> int:
        """Return the column of the keys of a block mapping."""
        start = next((e.key_start for e in entries if not e.key_alias), entries[0].key_start)
        before = self._before(start)
        return len(before) - len(before.lstrip(" "))

    def _before(self, index: int) -> str:
        return self.marked.text[self.marked.line_start(index) : index]

    def _measure(self, parent: yaml.MappingNode, child: yaml.MappingNode) -> None:
        if not child.flow_style and not parent.flow_style:
            marked = self.marked
            step = self._column(marked.entries(child)) - self._column(marked.entries(parent))
            self.step = step if step > 0 else self.step

    def _indent_step(self) -> int:
        """Return the step of the nearest parents, else the file's most common one."""
        if self.step is not None:
            return self.step
        root = self.marked.root
        steps = Counter(_steps(root)) if root is not None else Counter[int]()
        return steps.most_common(1)[0][0] if steps else _DEFAULT_STEP

    # Edits

    def _lines(self, index: int, lines: Sequence[str]) -> Edit:
        """Put whole lines behind the line that ends at `index`."""
        newline = self.marked.newline(index)
        return Edit(index, index, "".join(newline + line for line in lines))

    def _into_empty_file(self, root: yaml.Node | None) -> list[Edit]:
        text = self.marked.text
        place = len(text) if root is None else root.end_mark.index
        lines = block_lines(MAP_PATH, self.scale, 0, _DEFAULT_STEP)
        if place and text[place - 1] not in "\r\n":
            return [self._lines(place, lines)]
        newline = self.marked.newline(0)
        return [Edit(place, place, "".join(line + newline for line in lines))]

    def _fill(self, parent: yaml.MappingNode, entry: Entry, keys: Sequence[str]) -> list[Edit]:
        """Give a value to a key that has null or ``{}``."""
        marked = self.marked
        written = marked.text[entry.value_start : entry.value_end]
        if not parent.flow_style and self._on_one_line(entry):
            column = self._column(marked.entries(parent))
            step = self._indent_step()
            lines = block_lines(keys, self.scale, column + step, step)
            after_colon = marked.text.index(":", entry.key_end) + 1
            return [
                Edit(after_colon, entry.value_end, ""),
                self._lines(marked.line_end(entry.value_end), lines),
            ]
        text = flow_text(keys, self.scale)
        if isinstance(entry.value, yaml.MappingNode) and "#" in written:
            inside = entry.value_start + written.index("{") + 1
            return [Edit(inside, inside, text[1:-1])]
        return [_replace(entry, text)]

    def _on_one_line(self, entry: Entry) -> bool:
        """Whether an entry is ``key: value`` alone on its line, but for a comment."""
        marked = self.marked
        return (
            entry.has_colon
            and BREAK.search(marked.text, entry.key_start, entry.value_end) is None
            and marked.only_comment_after(entry.value_end)
            and not self._before(entry.key_start).strip(" ")
        )

    def _insert(self, mapping: yaml.MappingNode, keys: Sequence[str]) -> list[Edit]:
        """Add the keys and the map to a mapping that has entries, but not the first key."""
        if mapping.flow_style:
            return self._add_flow(mapping, [flow_text(keys, self.scale)[1:-1]])
        column = self._column(self.marked.entries(mapping))
        return self._add_block(
            mapping, block_lines(keys, self.scale, column, self._indent_step()), column
        )

    def _update(self, mapping: yaml.MappingNode) -> list[Edit]:
        """Change and add entries of a map that has some."""
        self._refuse_merge(mapping, dotted(MAP_PATH))
        present = self._present(mapping)
        edits: list[Edit] = []
        missing: dict[str, float] = {}
        for name, value in self.scale.items():
            if name in present:
                edits += self._change(present[name], number_text(value))
            else:
                missing[name] = value
        if missing and mapping.flow_style:
            items = [f"{name}: {number_text(value)}" for name, value in missing.items()]
            edits += self._add_flow(mapping, items)
        elif missing:
            column = self._column(self.marked.entries(mapping))
            edits += self._add_block(mapping, block_lines((), missing, column, 0), column)
        return edits

    def _present(self, mapping: yaml.MappingNode) -> dict[str, Entry]:
        present: dict[str, Entry] = {}
        for entry in self.marked.entries(mapping):
            name = None if entry.name is None else canonical_name(entry.name)
            if name is None:
                continue
            if name in present:
                raise self.marked.error(
                    entry.key_start,
                    f"{entry.name} is the same parameter as {present[name].name} above",
                    "keep one of them",
                )
            present[name] = entry
        return present

    def _change(self, entry: Entry, number: str) -> list[Edit]:
        name = dotted((*MAP_PATH, str(entry.name)))
        self._refuse_shared(entry, name)
        value = entry.value
        if not isinstance(value, yaml.ScalarNode) or value.style in {"|", ">"}:
            kind = "block text" if isinstance(value, yaml.ScalarNode) else "not a number"
            hint = "write a number there, or remove the entry"
            raise self.marked.error(entry.value_start, f"{name} is {kind}", hint)
        if value.tag in _NUMBERS and _read(value) == float(number):
            return []
        return [_replace(entry, number)]

    def _add_block(
        self, mapping: yaml.MappingNode, lines: Sequence[str], column: int
    ) -> list[Edit]:
        """Put lines behind the last entry, and behind comments that are indented into it."""
        marked = self.marked
        entries = marked.entries(mapping)
        inner_comments = re.compile(_COMMENT_LINES % (column + 1))
        for entry in reversed(entries):
            end = marked.content_end(entry)
            if end is None or not marked.only_comment_after(end):
                continue
            place = marked.line_end(end)
            while found := inner_comments.match(marked.text, place):
                place = found.end()
            return [self._lines(place, lines)]
        start = marked.line_start(entries[0].key_start)
        newline = marked.newline(start)
        return [Edit(start, start, "".join(line + newline for line in lines))]

    def _add_flow(self, mapping: yaml.MappingNode, items: Sequence[str]) -> list[Edit]:
        """Put items behind the last entry, on lines of their own if that has its own."""
        marked = self.marked
        last = marked.entries(mapping)[-1]
        end = marked.content_end(last)
        if end is None:
            end = last.value_end
        indent = self._before(last.key_start)
        opened_above = marked.line_start(last.key_start) > mapping.start_mark.index
        comma = _COMMA.match(marked.text, end)
        after = comma.end() if comma else end
        ends_line = marked.only_comment_after(after)
        if not opened_above or indent.strip(" ") or (comma and not ends_line):
            return [Edit(end, end, "".join(f", {item}" for item in items))]
        line = marked.newline(end) + indent
        body = line + f",{line}".join(items)
        if not ends_line:
            return [Edit(end, end, "," + body)]
        place = marked.line_end(after)
        if comma:
            return [Edit(place, place, body + ",")]
        return [Edit(end, end, ","), Edit(place, place, body)]


def _replace(entry: Entry, text: str) -> Edit:
    if entry.empty:
        text = f" {text}" if entry.has_colon else f": {text}"
    return Edit(entry.value_start, entry.value_end, text)


def _read(value: yaml.ScalarNode) -> object:
    return read_scalar(str(value.tag).removeprefix(TAG), str(value.value))


def _is_empty_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL and not node.value


def _is_hollow(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return str(node.tag) == _NULL
    return isinstance(node, yaml.MappingNode) and not node.value


def _steps(root: yaml.Node) -> Iterator[int]:
    """Yield how much deeper each block mapping stands than the one around it."""
    seen: set[int] = set()
    todo: list[yaml.Node] = [root]
    while todo:
        node = todo.pop()
        if not isinstance(node, yaml.MappingNode) or node.flow_style or id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in node.value:
            todo.append(value)
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                step = value.value[0][0].start_mark.column - key.start_mark.column
                if step > 0:
                    yield step
