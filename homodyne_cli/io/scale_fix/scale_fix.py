"""The file that ``homodyne diagnose -o`` writes: an x_scale_map and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.tree import dotted, nearest
from homodyne_cli.io.files.printable import printable
from homodyne_cli.io.yaml_text.load import DataPath, Document, load_mapping, read_document
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import ALIASES, NAMES, canonical_name

#: Where the map stands in a config.
MAP_PATH: Final = ("optimization", "nlsq", "x_scale_map")
_FORM: Final = "a fix file holds optimization.nlsq.x_scale_map with 'name: number' and nothing else"

_CONFIG_FIRST: Final = "this is a config: it comes first, homodyne apply-scale CONFIG FIX"


def read_fix(path: Path) -> dict[str, float]:
    """Read a fix file.

    Parameters
    ----------
    path
        YAML with ``optimization.nlsq.x_scale_map``, or ``x_scale_map`` at the top.

    Returns
    -------
    dict
        Positive numbers by canonical parameter name, in the order of the file.

    Raises
    ------
    ConfigError
        With file, line and column, for anything else.
    """
    document = read_document(path)
    scale, where = _find_map(document)
    result: dict[str, float] = {}
    first: dict[str, object] = {}
    for written, value in scale.items():
        place = (*where, written)
        name = _name(document, written, place)
        if name in result:
            raise ConfigError(
                f"{name} is given twice, as {first[name]} and as {written}",
                location=document.locate(place, key=True),
                hint="keep one of them",
            )
        first[name] = written
        result[name] = _number(document, value, place)
    return result


def _find_map(document: Document) -> tuple[Mapping[str, object], DataPath]:
    node: object = load_mapping(document)
    steps = MAP_PATH[-1:] if isinstance(node, dict) and MAP_PATH[-1] in node else MAP_PATH
    where: DataPath = ()
    for step in steps:
        if not isinstance(node, dict):
            raise not_a_mapping(document, node, where)
        for key in node:
            if key != step:
                raise ConfigError(
                    f"{dotted((*where, str(key)))} does not belong in a fix file",
                    location=document.locate((*where, key), key=True),
                    hint=_CONFIG_FIRST if not where and "analysis_mode" in node else _FORM,
                )
        if step not in node:
            name = dotted(where) or "the file"
            raise ConfigError(f"{name} is empty", location=document.locate(where), hint=_FORM)
        node = node[step]
        where = (*where, step)
    if not isinstance(node, dict):
        raise not_a_mapping(document, node, where)
    if not node:
        raise ConfigError(f"{dotted(where)} is empty", location=document.locate(where), hint=_FORM)
    return node, where


def value_at(data: object, where: tuple[str, ...]) -> object:
    """Return what nested data hold at a place, None for nothing."""
    for step in where:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def not_a_mapping(
    document: Document, value: object, where: DataPath, hint: str = _FORM
) -> ConfigError:
    """Return the error to raise for a value that should be a mapping."""
    message = f"{dotted(where) or 'the top level'} is {_described(value)}, not a mapping"
    return ConfigError(message, location=document.locate(where), hint=hint)


def _described(value: object) -> str:
    return kind_of(value) if value is None else f"{show(value)}, {kind_of(value)}"


def _name(document: Document, written: object, place: DataPath) -> str:
    name = canonical_name(written) if isinstance(written, str) else None
    if name is not None:
        return name
    near = nearest(written, (*NAMES, *ALIASES)) if isinstance(written, str) else None
    guess = f"did you mean {near}? " if near else ""
    raise ConfigError(
        f"{show(written)} is not a parameter",
        location=document.locate(place, key=True),
        hint=f"{guess}parameters are {', '.join(NAMES)}",
    )


def _number(document: Document, value: object, place: DataPath) -> float:
    name = dotted(place)
    where = document.locate(place)
    hint = "it should be a number above 0, such as 3.71e-06"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint += ", without quotes" * isinstance(value, str)
        raise ConfigError(f"{name} is {_described(value)}, not a number", location=where, hint=hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number <= 0.0:
        raise ConfigError(f"{name} is {show(value)}", location=where, hint=hint)
    return number


def number_text(value: float) -> str:
    """Write a number with at most 4 significant digits, as YAML 1.1 and 1.2 both read floats.

    YAML 1.1, which PyYAML follows, takes ``1e-08`` for text: it wants a point and a sign.
    """
    text = f"{value:.4g}"
    if not math.isfinite(float(text)):
        # The largest floats round up to infinity.
        text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{e}{exponent}"


def fix_text(scale: Mapping[str, float], notes: Sequence[str]) -> str:
    """Return the text of a fix file, with notes as comments, one a line."""
    lines = [f"# {printable(note)}" for note in notes] + block_lines(MAP_PATH, scale, 0, 2)
    return "\n".join(lines) + "\n"


def block_lines(
    keys: Sequence[str], entries: Mapping[str, float], column: int, step: int
) -> list[str]:
    """Return the lines of a block mapping that starts at a column."""
    lines = [f"{' ' * (column + i * step)}{key}:" for i, key in enumerate(keys)]
    indent = " " * (column + len(keys) * step)
    return lines + [f"{indent}{name}: {number_text(value)}" for name, value in entries.items()]
