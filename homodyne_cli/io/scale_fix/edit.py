"""Enter an ``x_scale_map`` into a user's config and leave every other byte as it was.

The text is never dumped anew. PyYAML's marks say where the map stands, or where it belongs; the
characters of the new entries are put there, in the style (block or flow, indentation, line
breaks) of what surrounds them. The result is then read again and refused unless the map is the
only difference.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.config.forms import MODES
from homodyne_cli.io.scale_fix.place import flow_text, plan_edits
from homodyne_cli.io.scale_fix.scale_fix import MAP_PATH, number_text, read_fix
from homodyne_cli.io.yaml_text.load import Document, load_document
from homodyne_cli.io.yaml_text.marks import MarkedText, apply_edits
from homodyne_cli.parameters import canonical_name, names_of

__all__ = ["ScaleEdit", "edit_bytes", "merge_x_scale_map", "read_fix"]

_X_SCALE: Final = (*MAP_PATH[:-1], "x_scale")
#: Values of x_scale with which a map has no effect.
_WITHOUT_MAP: Final = ("auto", "jac", "unit")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class ScaleEdit:
    """A config before and after its map was merged.

    Attributes
    ----------
    before, after
        The file's bytes; equal if there was nothing to change.
    before_text, after_text
        The same without byte order mark, decoded.
    added, changed
        Names of new entries, and of entries that had another value.
    x_scale, x_scale_at
        A setting of ``x_scale`` with which the map has no effect, and its place; None without.
    """

    before: bytes
    after: bytes
    before_text: str
    after_text: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    x_scale: str | None
    x_scale_at: Location | None


def edit_bytes(raw: bytes, scale: Mapping[str, float], *, path: Path) -> ScaleEdit:
    """Merge a map into the bytes of a config; see `merge_x_scale_map`.

    UTF-8 with and without byte order mark and UTF-16 with one stay what they are.

    Raises
    ------
    ConfigError
        As `merge_x_scale_map`, and for bytes that are not text or a map with parameters that the
        config's analysis mode does not have, which `fit` would refuse.
    """
    document = load_document(raw, path)
    _check_mode(document, scale)
    bom, codec = next((pair for pair in _BOMS if raw.startswith(pair[0])), (b"", "utf-8"))
    text = raw[len(bom) :].decode(codec)
    merged = merge_x_scale_map(text, scale, path=path)
    old = _old_map(document.data)
    known = {canonical_name(str(name)) for name in old}
    values = _merged(old, scale)
    differing = {canonical_name(str(name)) for name in values if old.get(name) != values[name]}
    x_scale = _value_at(document.data, _X_SCALE)
    idle = x_scale if isinstance(x_scale, str) and x_scale in _WITHOUT_MAP else None
    return ScaleEdit(
        before=raw,
        after=bom + merged.encode(codec),
        before_text=text,
        after_text=merged,
        added=tuple(name for name in scale if name not in known),
        changed=tuple(name for name in scale if name in known and name in differing),
        x_scale=idle,
        x_scale_at=None if idle is None else document.locate(_X_SCALE),
    )


def merge_x_scale_map(text: str, scale: Mapping[str, float], *, path: Path) -> str:
    """Return a config's text with ``optimization.nlsq.x_scale_map`` updated.

    Parameters
    ----------
    text
        YAML, without byte order mark, with its line breaks as in the file.
    scale
        Positive finite numbers by canonical parameter name. They win over entries of the map
        under that name or an alias of it, whose spelling stays; other entries stay.
    path
        Named in error messages.

    Returns
    -------
    str
        The text with values rounded to 4 significant digits; `text` itself if the map has them.

    Raises
    ------
    ConfigError
        If the text is not a YAML mapping, if a parent of the map is something else, if an
        anchor, alias or merge key stands where the edit would, or if the edit would change
        anything but the map.
    """
    document = load_document(text, path)
    edits = plan_edits(MarkedText.read(text, path), scale)
    if not edits:
        return text
    result = apply_edits(text, edits)
    _check(document, result, scale, path)
    return result


def _check_mode(document: Document, scale: Mapping[str, float]) -> None:
    mode = _value_at(document.data, ("analysis_mode",))
    if not isinstance(mode, str) or mode not in MODES:
        return
    foreign = [name for name in scale if name not in names_of(MODES[mode])]
    if foreign:
        raise ConfigError(
            f"the fix scales {', '.join(foreign)}, which analysis_mode {mode} does not have",
            location=document.locate(("analysis_mode",)),
            hint="diagnose a run of this config, or remove these entries from the fix file",
        )


def _check(document: Document, result: str, scale: Mapping[str, float], path: Path) -> None:
    wanted = _with_map(document.data, MAP_PATH, scale)
    problem = "it would change other values"
    try:
        if _same(load_document(result, path).data, wanted):
            return
    except ConfigError as error:
        problem = error.message
    raise ConfigError(
        f"the x_scale_map cannot be entered here: {problem}",
        location=document.locate(MAP_PATH, key=True),
        hint=f"enter it by hand: {flow_text(MAP_PATH, scale)[1:-1]}",
    )


def _value_at(data: object, where: tuple[str, ...]) -> object:
    for step in where:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _old_map(data: object) -> dict[object, object]:
    old = _value_at(data, MAP_PATH)
    return old if isinstance(old, dict) else {}


def _merged(old: Mapping[object, object], scale: Mapping[str, float]) -> dict[object, object]:
    spelling = {canonical_name(key): key for key in old if isinstance(key, str)}
    result = dict(old)
    for name, value in scale.items():
        key = spelling.get(name, name)
        rounded = float(number_text(value))
        present = result.get(key)
        if isinstance(present, bool) or present != rounded:
            result[key] = rounded
    return result


def _with_map(data: object, where: tuple[str, ...], scale: Mapping[str, float]) -> object:
    here = dict(data) if isinstance(data, dict) else {}
    if not where:
        return _merged(here, scale)
    here[where[0]] = _with_map(here.get(where[0]), where[1:], scale)
    return here


def _same(one: object, other: object) -> bool:
    """Compare data strictly: 1, 1.0 and true differ, NaN equals itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {(type(key), key) for key in one}
        return keys == {(type(key), key) for key in other} and all(
            _same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other or (one != one and other != other)
