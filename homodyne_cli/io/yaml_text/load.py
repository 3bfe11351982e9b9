"""Read YAML strictly: YAML 1.2 scalars, no duplicate keys, and a line and column for every value.

PyYAML follows YAML 1.1, where ``1e-8`` is text, ``on`` is true, ``1:30`` is ninety and a key
given twice silently keeps its last value. `StrictLoader` resolves plain scalars by the YAML 1.2
core schema instead, and `load_document` refuses what a config never means to say.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.yaml_text.scalars import TAG, Scalar, core_schema, kind_of, read_scalar, show

#: A place in nested YAML data: mapping keys and list indices from the top.
DataPath: TypeAlias = tuple[str | int, ...]

_MERGE: Final = TAG + "merge"
#: A document that holds more values than this, aliases written out, is refused.
MAX_VALUES: Final = 1_000_000


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain scalars of the YAML 1.2 core schema.

    Used for composing node trees; `load_document` turns those into data.
    """

    yaml_implicit_resolvers = core_schema()


_HINTS: Final = (
    ("'\\t'", "indent and separate with spaces; YAML does not take tabs there"),
    ("undefined alias", "define it first as &name, or put quotes around text that begins with *"),
    ("mapping values are not allowed", "put quotes around text that contains ': '"),
    ("block end", "check the indentation: keys of one block begin in the same column"),
    ("could not find expected ':'", "write 'key: value', with a space after the colon"),
    ("single document", "keep one YAML document per file"),
    ("cannot start any token", "put quotes around text that begins with this character"),
    ("unknown escape", "write paths with backslashes in single quotes"),
)


@dataclass(frozen=True)
class Document:
    """A YAML document as plain data that still knows where everything stands.

    Attributes
    ----------
    data
        Mappings, lists and scalars; None if the document is empty.
    path
        The file, None for text from elsewhere.
    root
        PyYAML's node tree, None if the document is empty.
    """

    data: object
    path: Path | None
    root: yaml.Node | None
    _entries: Mapping[int, Mapping[Scalar, tuple[yaml.Node, yaml.Node]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def locate(self, where: DataPath, *, key: bool = False) -> Location:
        """Return the place of a value, or of the nearest ancestor that exists.

        Parameters
        ----------
        where
            Keys and indices from the top.
        key
            Point at the key of the last step instead of at its value.
        """
        node = self.root
        if node is None:
            return Location(self.path)
        mark = node.start_mark
        for step in where:
            pair = self._child(node, step)
            if pair is None:
                break
            name, node = pair
            mark = (name if key else node).start_mark
        return Location(self.path, mark.line + 1, mark.column + 1)

    def contains(self, where: DataPath) -> bool:
        """Whether the document has a value there."""
        node = self.root
        for step in where:
            pair = None if node is None else self._child(node, step)
            if pair is None:
                return False
            node = pair[1]
        return node is not None

    def _child(self, node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode):
            return self._entries[id(node)].get(step)
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            items: Sequence[yaml.Node] = node.value
            return (items[step], items[step]) if 0 <= step < len(items) else None
        return None


def read_document(path: Path) -> Document:
    """Read a YAML file; see `load_document`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError("no such file", location=Location(path)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot read it: {reason}", location=Location(path)) from error
    return load_document(raw, path)


def load_document(text: str | bytes, path: Path | None = None) -> Document:
    """Turn YAML text into data with marks.

    Parameters
    ----------
    text
        A single document; bytes are UTF-8 (with or without byte order mark) or UTF-16 with one.
    path
        Named in error messages.

    Raises
    ------
    ConfigError
        For anything that is not YAML, and for duplicate keys, keys that are not scalars,
        aliases that contain themselves and tags other than those of the core schema.
    """
    decoded = _decode(text, path) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        root = _compose(decoded)
        if root is None:
            return Document(None, path, None)
        builder = _Builder(path)
        return Document(builder.build(root), path, root, builder.entries)
    except yaml.reader.ReaderError as error:
        message = f"character U+{error.character:04X} is not allowed in YAML"
        place = _place_at(decoded, error.position, path)
        raise ConfigError(message, location=place, hint="save the file as UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, path) from error
    except RecursionError as error:
        raise ConfigError("nested too deeply", location=Location(path)) from error


def load_mapping(document: Document) -> Mapping[str, object]:
    """Return the data of a document whose top level must be a mapping with text keys.

    Raises
    ------
    ConfigError
        For an empty document and for any other top level.
    """
    if document.data is None:
        raise ConfigError(
            "the file is empty",
            location=Location(document.path),
            hint="'homodyne init' writes a config to start from",
        )
    if not isinstance(document.data, dict):
        raise ConfigError(
            f"the top level is {kind_of(document.data)}",
            location=document.locate(()),
            hint="write a mapping, 'key: value' on each line",
        )
    for key in document.data:
        if not isinstance(key, str):
            raise ConfigError(
                f"the key {show(key)} is {kind_of(key)}",
                location=document.locate((key,), key=True),
                hint="keys are text",
            )
    return document.data


def parse_scalar(text: str) -> object:
    """Parse a value as YAML would read it after ``key:``, for ``--set key.path=value``.

    Lists and mappings in flow style are accepted too; empty text is null.

    Raises
    ------
    ConfigError
        Without a location: the caller knows which option it stands in.
    """
    try:
        return load_document(text).data
    except ConfigError as error:
        where = f"{error.location}: " if error.location else ""
        raise ConfigError(error.message.removeprefix(where), hint=error.hint) from error


def _compose(text: str) -> yaml.Node | None:
    loader = StrictLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _decode(raw: bytes, path: Path | None) -> str:
    hint = "save the file as UTF-8"
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise ConfigError("the file is UTF-32", location=Location(path), hint=hint)
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if utf16 else "UTF-8"
        message = f"byte 0x{raw[error.start]:02x} is not {name}: {error.reason}"
        before = raw[: error.start].decode(encoding, errors="replace")
        place = _place_at(before, len(before), path)
        raise ConfigError(message, location=place, hint=hint) from error


def _place_at(text: str, index: int, path: Path | None) -> Location:
    before = text[:index]
    return Location(path, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _at(node: yaml.Node, path: Path | None) -> Location:
    return Location(path, node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_error(error: yaml.MarkedYAMLError, path: Path | None) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = Location(path) if mark is None else Location(path, mark.line + 1, mark.column + 1)
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for sign, hint in _HINTS if sign in problem), None)
    return ConfigError(f"not valid YAML: {problem}", location=place, hint=hint)


class _Builder:
    """Turns a node tree into data, each node once, remembering where mapping entries stand."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.entries: dict[int, dict[Scalar, tuple[yaml.Node, yaml.Node]]] = {}
        self._built: dict[int, object] = {}
        self._open: set[int] = set()
        self._size: dict[int, int] = {}

    def build(self, node: yaml.Node) -> object:
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
        # A few nested aliases can stand for more values than fit in memory.
        size = 1 + sum(self._size.get(id(child), 1) for child in children)
        if size > MAX_VALUES:
            message = f"its aliases expand to more than {MAX_VALUES} values"
            raise ConfigError(message, location=_at(node, self.path))
        self._size[id(node)] = size

    def _expect_tag(self, node: yaml.Node, name: str) -> None:
        if node.tag != TAG + name:
            raise self._bad_tag(node)

    def _bad_tag(self, node: yaml.Node) -> ConfigError:
        tag = str(node.tag).replace(TAG, "!!")
        return ConfigError(
            f"the tag {tag} is not supported", location=_at(node, self.path), hint="remove the tag"
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
            for key, pair in self.entries[id(source)].items():
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
