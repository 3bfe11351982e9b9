"""Plain scalars of YAML 1.2: how they are recognised, read and shown."""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
ImplicitResolvers: TypeAlias = dict[str, list[tuple[str, re.Pattern[str]]]]

TAG: Final = "tag:yaml.org,2002:"

#: JSON writes a character beyond U+FFFF as two escapes, which are one character.
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
#: Halves of a pair, but for those by which Python stands for bytes of a file name.
_NO_TEXT: Final = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
_MOST_DIGITS: Final = 1000
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_PATTERNS: Final = {
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    "merge": re.compile(r"<<\Z"),
}
_FIRST: Final = {
    "bool": ("t", "T", "f", "F"),
    "null": ("~", "n", "N", ""),
    "int": tuple("-+0123456789"),
    "float": tuple("-+.0123456789"),
    "merge": ("<",),
}


def core_schema() -> ImplicitResolvers:
    """Return PyYAML's table first character -> [(tag, pattern)] for the YAML 1.2 core schema."""
    table: ImplicitResolvers = {}
    for name, characters in _FIRST.items():
        for character in characters:
            table.setdefault(character, []).append((TAG + name, _PATTERNS[name]))
    return table


def read_scalar(tag: str, text: str) -> Scalar:
    """Return the value of a scalar.

    Parameters
    ----------
    tag
        Short name of its type: str, null, bool, int or float. ``merge`` (a lone ``<<`` that is
        not a key) is text.
    text
        As it stands in the file, without quotes.

    Raises
    ------
    KeyError
        For any other tag.
    ValueError
        If the text does not spell a value of that type.
    """
    if tag in {"str", "merge"}:
        return _joined(text)
    if not _PATTERNS[tag].match(text):
        raise ValueError(f"{show(text)} is not !!{tag}")
    if tag == "null":
        return None
    if tag == "bool":
        return text in _TRUE
    return _integer(text) if tag == "int" else _real(text)


def _joined(text: str) -> str:
    joined = _PAIR.sub(
        lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text
    )
    character = _NO_TEXT.search(joined)
    if character:
        raise ValueError(f"text with the character U+{ord(character[0]):04X}")
    return joined


def _integer(text: str) -> int:
    # Python refuses to convert or to show decimal numbers of thousands of digits.
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _real(text: str) -> float:
    special = text.lower().lstrip("+")
    if special.endswith((".inf", ".nan")):
        return float(special.replace(".", ""))
    return float(text)


def kind_of(value: object) -> str:
    """Name the YAML type of a value, with its article, for error messages."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", dict: "a mapping"}
    return names.get(type(value), "a list")


def show(value: object, limit: int = 60) -> str:
    """Show a value as YAML spells it, on one line and cut to a length."""
    special = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return special[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    return cut(repr(value), limit)


def cut(text: str, limit: int = 200) -> str:
    """Cut a text to a length, marking that it was."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
