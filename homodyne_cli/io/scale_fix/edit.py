"""Enter an ``x_scale_map`` into a user's config and leave every other byte as it was.

The text is never dumped anew: the numbers are put in where they belong, and the result is read
again and refused unless the map is the only difference.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.config.forms import mode_of
from homodyne_cli.io.scale_fix.insertion import flow_text, insert_entries
from homodyne_cli.io.scale_fix.scale_fix import (
    MAP_PATH,
    number_text,
    value_at,
)
from homodyne_cli.io.yaml_text.load import Document, load_document
from homodyne_cli.parameters import canonical_name, names_of

_X_SCALE: Final = (*MAP_PATH[:-1], "x_scale")
#: Values of x_scale with which a map has no effect.
_WITHOUT_MAP: Final = ("auto", "jac", "unit")
_BOMS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"": "utf-8",
}


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
    bom = next(filter(raw.startswith, _BOMS))
    text = raw[len(bom) :].decode(_BOMS[bom])
    merged = _merge(document, text, scale)
    old = _map_of(document.data)
    changes = _changes(old, scale)
    x_scale = value_at(document.data, _X_SCALE)
    idle = x_scale if isinstance(x_scale, str) and x_scale in _WITHOUT_MAP else None
    return ScaleEdit(
        before=raw,
        after=bom + merged.encode(_BOMS[bom]),
        before_text=text,
        after_text=merged,
        added=tuple(key for key in changes if key not in old),
        changed=tuple(canonical_name(key) or key for key in changes if key in old),
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
    return _merge(load_document(text, path), text, scale)


def _merge(document: Document, text: str, scale: Mapping[str, float]) -> str:
    changes = _changes(_map_of(document.data), scale)
    if not changes:
        return text
    result = insert_entries(document, text, changes)
    problem = "it would change other values"
    try:
        wanted = _with_map(document.data, MAP_PATH, changes)
        if _spelt(load_document(result).data) == _spelt(wanted):
            return result
    except ConfigError as error:
        problem = error.message
    raise ConfigError(
        f"the x_scale_map cannot be entered here: {problem}",
        location=document.locate(MAP_PATH, key=True),
        hint=f"enter it by hand: {flow_text(MAP_PATH, scale)[1:-1]}",
    )


def _check_mode(document: Document, scale: Mapping[str, float]) -> None:
    written = value_at(document.data, ("analysis_mode",))
    mode = mode_of(written)
    foreign = [name for name in scale if mode is not None and name not in names_of(mode)]
    if foreign:
        raise ConfigError(
            f"the fix scales {', '.join(foreign)}, which analysis_mode {written} does not have",
            location=document.locate(("analysis_mode",)),
            hint="diagnose a run of this config, or remove these entries from the fix file",
        )


# The data before and after


def _map_of(data: object) -> dict[object, object]:
    old = value_at(data, MAP_PATH)
    return old if isinstance(old, dict) else {}


def _changes(old: Mapping[object, object], scale: Mapping[str, float]) -> dict[str, float]:
    """Return the entries to write, under the names that the map has for them."""
    spelling = {canonical_name(key): key for key in old if isinstance(key, str)}
    rounded = {spelling.get(n, n): float(number_text(value)) for n, value in scale.items()}
    return {k: v for k, v in rounded.items() if isinstance(old.get(k), bool) or old.get(k) != v}


def _with_map(data: object, where: tuple[str, ...], changes: Mapping[str, float]) -> object:
    here = data if isinstance(data, dict) else {}
    if not where:
        return {**here, **changes}
    return {**here, where[0]: _with_map(here.get(where[0]), where[1:], changes)}


def _spelt(data: object) -> str:
    """Spell data so that 1, 1.0 and true differ and the order of keys does not matter."""
    if isinstance(data, dict):
        return f"{{{', '.join(sorted(f'{key!r}: {_spelt(data[key])}' for key in data))}}}"
    if isinstance(data, list):
        return f"[{', '.join(map(_spelt, data))}]"
    return repr(data)
