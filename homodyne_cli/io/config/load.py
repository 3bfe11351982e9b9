"""Load a config: from YAML text, ``--set`` options or memory to a `Config`.

The way is: strict YAML (`yaml_load`), command-line settings (`config_source`), one normal form
(`config_forms`), types and ranges (`config_schema`), what several values say together
(`config_build`). Every error names the place that the user wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from homodyne_cli.errors import ConfigError, Location
from homodyne_cli.io.config.build import build
from homodyne_cli.io.config.dump import dump_yaml, resolved_data
from homodyne_cli.io.config.forms import normalise
from homodyne_cli.io.config.legacy import pattern_of, unused_below
from homodyne_cli.io.config.reference import acting_below, config_reference
from homodyne_cli.io.config.schema import Root
from homodyne_cli.io.config.source import Source, Tree, apply_overrides, copy_tree, dotted, nearest
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.io.yaml_text.load import DataPath, Document, load_mapping, read_document
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.problem import Config

__all__ = ["config_reference", "dump_yaml", "load_config", "resolve_config", "template_text"]

_EXPECTED: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping, 'key: value' lines",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "too_short": "a list that is not empty",
}
_ENTRY_KEYS: Final = {
    "parameter_space.bounds.*": ["min", "max"],
    "phi_filtering.target_ranges.*": ["min_angle", "max_angle"],
}


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read and check a YAML config.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to its folder.
    overrides
        ``key.path=value`` settings, applied in order before anything is checked; values are
        read as YAML.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or says something that makes no sense. The message
        begins with file:line:column (or ``--set key.path``) and shows the value seen; the hint
        says what would be accepted.
    """
    document = read_document(path)
    return _resolve(load_mapping(document), document, overrides, path.absolute().parent)


def resolve_config(
    data: Mapping[str, object],
    *,
    folder: Path | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Check a config made in memory.

    Parameters
    ----------
    data
        The same nested mappings, lists and scalars as in a YAML file; left unchanged.
    folder
        What relative paths are relative to; the working directory by default.
    overrides
        As for `load_config`.

    Raises
    ------
    ConfigError
        As for `load_config`; places are given as ``<config>``.
    """
    base = Path.cwd() if folder is None else folder.absolute()
    return _resolve(data, None, overrides, base)


def _resolve(
    data: Mapping[str, object],
    document: Document | None,
    overrides: Sequence[str],
    folder: Path,
) -> Config:
    tree: Tree = {key: copy_tree(value) for key, value in data.items()}
    source = Source(document, apply_overrides(tree, overrides))
    normal, source, unused = normalise(tree, source)
    try:
        root = Root.model_validate(normal)
    except ValidationError as error:
        raise _first_error(error.errors(include_url=False), normal, source) from error
    built = build(root, source, folder)
    return Config(
        path=source.path,
        selection=built.selection,
        problem=built.problem,
        output_directory=built.output_directory,
        unused_keys=(*unused, *built.unused),
        resolved=resolved_data(built.selection, built.problem, built.output_directory),
    )


def _first_error(errors: Iterable[ErrorDetails], data: Tree, source: Source) -> ConfigError:
    """Return the error that stands first in the file; those of options come before."""

    def order(detail: ErrorDetails) -> tuple[int, int]:
        place = source.place(_real_path(detail["loc"], data), key=True)
        if not isinstance(place, Location):
            return (0, 0)
        return (place.line or 0, place.column or 0)

    return _explain(min(errors, key=order), data, source)


def _explain(detail: ErrorDetails, data: Tree, source: Source) -> ConfigError:
    where = _real_path(detail["loc"], data)
    name = source.name(where)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(where, source)
    if detail["type"] == "missing":
        return source.error(where, f"{dotted(where)} is missing", hint="give a number")
    value = detail["input"]
    types = {row.key: row.type for row in config_reference()}
    general = _EXPECTED.get(detail["type"]) or detail["msg"].removeprefix("Input should be ")
    kind = general if detail["type"] == "too_short" else types.get(dotted(where), general)
    hint = f"it should be: {kind}"
    shown = show(value) if not isinstance(value, (dict, list)) else kind_of(value)
    return source.error(where, f"{name}: {shown} is not accepted", hint=hint)


def _real_path(loc: DataPath, data: object) -> DataPath:
    """Drop the steps of an error's place that stand for a branch of a union, not for data."""
    where: DataPath = ()
    node = data
    for depth, step in enumerate(loc):
        last = depth == len(loc) - 1
        if isinstance(node, dict) and (step in node or last):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int):
            node = node[step]
        else:
            continue
        where = (*where, step)
    return where


def _unknown_key(where: DataPath, source: Source) -> ConfigError:
    key = str(where[-1])
    section = dotted(where[:-1])
    acting = acting_below(where[:-1]) or _ENTRY_KEYS.get(pattern_of(where[:-1]), [])
    near = nearest(key, (*acting, *unused_below(where[:-1])))
    if near is not None:
        hint = f"did you mean {near!r}?"
    else:
        elsewhere = [row.key for row in config_reference() if row.key.split(".")[-1] == key]
        hint = f"it belongs under {elsewhere[0]}" if elsewhere else f"keys are {', '.join(acting)}"
    inside = f" in {section}" if section else ""
    return source.error(where, f"unknown key {key!r}{inside}", hint=hint, key=True)
