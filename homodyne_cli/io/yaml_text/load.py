"""Read YAML with a line and column for every value, and errors that say where and what."""

from __future__ import annotations

import codecs
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from homodyne_cli.errors import ConfigError, Location, resembling
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.yaml_text.scalars import cut, kind_of, show
from homodyne_cli.io.yaml_text.strict import Builder, LimitError, Pairs, StrictLoader

#: A place in nested YAML data: mapping keys and list indices from the top.
DataPath: TypeAlias = tuple[str | int, ...]

#: Bytes of a file; a config with a value for each of 2,000 angles has 50,000.
MAX_BYTES: Final = 1_000_000
#: First bytes of HDF5, npz and npy files.
_DATA: Final = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x93NUMPY")
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
    _entries: Mapping[int, Pairs] = field(default_factory=dict, repr=False, compare=False)

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
    """Read a YAML file; see `read_bytes` and `load_document`."""
    return load_document(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return what is in a file of at most `MAX_BYTES`.

    Raises
    ------
    ConfigError
        If there is no such file, if it cannot be read, is larger, or is a folder, a pipe or a
        device, which might never end.
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "no file, but a pipe or a device"
            hint = f"if it is a run: homodyne show {path}" if stat.S_ISDIR(kind) else None
            raise ConfigError(
                f"cannot read it: it is {what}",
                location=Location(path), hint=hint, code=Code.WRONG_KIND,
            )  # fmt: skip
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = resembling(path)
        raise ConfigError(
            "no such file", location=Location(path), hint=hint, code=Code.NO_FILE
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot read it: {reason}", location=Location(path)) from error
    if raw.startswith(_DATA):
        raise ConfigError(
            "this is a data file, not a config",
            location=Location(path),
            hint=f"homodyne fit CONFIG --data {path}, or homodyne inspect {path} -o CONFIG",
            code=Code.WRONG_KIND,
        )
    if len(raw) > MAX_BYTES:
        message = f"more than {MAX_BYTES} bytes"
        raise ConfigError(message, location=Location(path), hint="a config is a small text file")
    return raw


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
        root = _compose(decoded, path)
        if root is None:
            return Document(None, path, None)
        builder = Builder(path)
        return Document(builder.build(root), path, root, builder.entries)
    except yaml.reader.ReaderError as error:
        message = f"character U+{error.character:04X} is not allowed in YAML"
        place = _place_at(decoded, error.position, path)
        raise ConfigError(message, location=place, hint="save the file as UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, path) from error
    except LimitError as error:
        raise ConfigError(str(error), location=Location(path)) from error


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


def _compose(text: str, path: Path | None) -> yaml.Node | None:
    loader = StrictLoader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError) as error:
        # PyYAML trips over \UFFFFFFFF in quotes and over a version of thousands of digits.
        place = Location(path, loader.line + 1, loader.column + 1)
        raise ConfigError(f"not valid YAML: {error}", location=place) from error
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


def _syntax_error(error: yaml.MarkedYAMLError, path: Path | None) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = Location(path) if mark is None else Location(path, mark.line + 1, mark.column + 1)
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for sign, hint in _HINTS if sign in problem), None)
    return ConfigError(f"not valid YAML: {cut(problem)}", location=place, hint=hint)
