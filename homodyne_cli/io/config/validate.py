"""From the normal form to the dataclasses: each key by the type and range that it declares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from homodyne_cli.io.config.keys import ConfigKey, OtherForms, config_keys, keys_below
from homodyne_cli.io.config.legacy import unused_below
from homodyne_cli.io.config.tree import ConfigTree, Node, nearest
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.problem import Bounds, Config

_STRICT: Final = ConfigDict(strict=True, allow_inf_nan=False)
_EXPECTED: Final = {
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "too_short": "a list that is not empty",
    "tuple_type": "a list",
}


def read_config(tree: ConfigTree, folder: Path) -> tuple[Config, OtherForms]:
    """Return the values of all keys; refuse bad values and unknown keys.

    What is refused or absent has its default; a mode or data file that is, some value.

    Parameters
    ----------
    tree
        A config in normal form.
    folder
        What relative paths are relative to, absolute.
    """
    values: dict[tuple[str, ...], object] = {
        ("problem", "mode"): "laminar_flow",
        ("selection", "path"): folder,
    }
    for key, node in _given(tree, tree.root, ()):
        try:
            checked = _adapter(key.hint).validate_python(_shaped(key, node.plain(), folder))
        except ValidationError as error:
            # Of the forms that a value may have, the one that it comes closest to is told first.
            for detail in sorted(error.errors(include_url=False), key=lambda d: -len(d["loc"])):
                _refuse(tree, key, node, detail)
        if not node.spoilt:
            values[key.fields] = _bounds(checked) if _mentions(key.hint, Bounds) else checked
    return _assemble(values)


def _given(
    tree: ConfigTree, node: Node, where: tuple[str, ...]
) -> Iterator[tuple[ConfigKey, Node]]:
    known = keys_below(where)
    for name, below in node.entries.items():
        key = known.get(name)
        if name not in known:
            tree.refuse_key(below, known, unused_below(where))
        elif below.value is None:
            continue
        elif key is not None:
            yield key, below
        elif isinstance(below.value, dict):
            yield from _given(tree, below, (*where, name))
        elif not below.bad:
            hint = "it should be: a mapping, 'key: value' lines"
            tree.refuse(below, f"{_shown(below.plain())} is not accepted", hint=hint)


def _assemble(values: Mapping[tuple[str, ...], object]) -> tuple[Config, OtherForms]:
    parts = dict(values)
    owners = {key.fields[:-1]: key.owner for key in config_keys()}
    forms = None
    for place in sorted(owners, key=len, reverse=True):
        inner = {name[-1]: parts.pop(name) for name in list(parts) if name[:-1] == place and name}
        forms = inner.pop("forms", forms)
        parts[place] = owners[place](**inner)
    config = parts[()]
    assert isinstance(config, Config)
    assert isinstance(forms, OtherForms)
    return config, forms


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    written = Mapping[str, tuple[float, float]] if _mentions(hint, Bounds) else hint
    return TypeAdapter(written, config=_STRICT)


def _mentions(hint: Any, kind: type) -> bool:
    return hint is kind or any(_mentions(part, kind) for part in get_args(hint))


def _bounds(pairs: Mapping[str, tuple[float, float]]) -> dict[str, Bounds]:
    return {name: Bounds(*pair) for name, pair in pairs.items()}


def _shaped(key: ConfigKey, value: object, folder: Path) -> object:
    """Return a value as Python has it: tuples, paths, 1e3 as a whole number where one belongs."""
    if isinstance(value, list):
        return tuple(_shaped(key, item, folder) for item in value)
    if isinstance(value, dict):
        return {name: _shaped(key, item, folder) for name, item in value.items()}
    if isinstance(value, float) and value.is_integer() and _mentions(key.hint, int):
        return int(value)
    if isinstance(value, str) and value and _mentions(key.hint, Path):
        return folder / os.path.expanduser(value)  # noqa: PTH111 (Path's raises for ~nobody)
    return dict(key.mark.spellings).get(value, value) if isinstance(value, str) else value


def _refuse(tree: ConfigTree, key: ConfigKey, node: Node, detail: ErrorDetails) -> None:
    for step in detail["loc"]:
        node = node.child(step) or node
    if node.spoilt:
        return
    value = detail["input"]
    kind = _EXPECTED.get(detail["type"], detail["msg"].removeprefix("Input should be "))
    if _is_union(key.hint):
        kind = key.type
    if not detail["loc"] and detail["type"] not in {"too_short", "less_than_equal"}:
        kind = key.type
    near = nearest(value, kind.split(" | ")) if isinstance(value, str) and "|" in kind else None
    hint = f"did you mean {near!r}? " * (near is not None) + f"it should be: {kind}"
    tree.refuse(node, f"{_shown(value)} is not accepted", hint=hint)


def _is_union(hint: Any) -> bool:
    """Whether a value may have one of several forms; of which one it falls short is not known."""
    return len({*get_args(hint)} - {NoneType}) > 1 and get_origin(hint) in {Union, UnionType}


def _shown(value: object) -> str:
    return kind_of(value) if isinstance(value, (dict, list, tuple)) else show(value)
