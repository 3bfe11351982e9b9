"""Every key of the config, as the dataclasses of `problem` declare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import show
from homodyne_cli.keys import LARGEST, Key, Section, Text
from homodyne_cli.problem import Bounds, Config

#: Sections (and keys at the top) in the order of the reference, of dumps and of templates.
SECTIONS: Final = (
    *("analysis_mode", "model", "experimental_data", "analyzer_parameters", "phi_filtering"),
    *("noise", "per_angle_mode", "fourier_order", "initial_parameters", "parameter_space"),
    *("optimization", "output"),
)
_COMPARISONS: Final = {"gt": ">", "ge": ">=", "le": "<="}
_TYPES: Final = {bool: "true | false", int: "integer", float: "number", str: "text", Path: "text"}
_REQUIRED: Final = dataclasses.MISSING


@dataclasses.dataclass(frozen=True)
class OtherForms:
    """Keys by which a config may say what fields of `Config` hold in another way."""

    # fmt: off
    folder: Annotated[Text | None, Key(
        "Folder of the data file, in place of file_path.",
        at="experimental_data.data_folder_path")] = None
    file: Annotated[Text | None, Key(
        "Name of the data file in data_folder_path.", at="experimental_data.data_file_name")] = None
    filtering: Annotated[bool | None, Key(
        "Whether target_ranges select angles; true when they are given.",
        at="phi_filtering.enabled")] = None
    order: Annotated[tuple[str, ...] | None, Key(
        "Order of the list in values; null is the order of the model.",
        at="initial_parameters.parameter_names", written="list of names")] = None
    # fmt: on


@dataclasses.dataclass(frozen=True)
class ConfigKey:
    """One key.

    Attributes
    ----------
    path
        Its place in the YAML tree.
    owner, fields
        The dataclass that declares it, and the fields that lead there from `Config`; from
        ``forms`` for `OtherForms`.
    hint
        Its annotation.
    default
        What holds where it is absent; `dataclasses.MISSING` if it must be there.
    """

    path: tuple[str, ...]
    owner: type
    fields: tuple[str, ...]
    hint: Any
    key: Key
    default: object

    @property
    def name(self) -> str:
        """Dotted name."""
        return ".".join(self.path)

    @property
    def required(self) -> bool:
        """Whether a config must have it."""
        return self.default is _REQUIRED

    @property
    def accepted(self) -> str:
        """What may be written, in words."""
        others = (spelling for spelling, _ in self.key.spellings)
        return self.key.written or " | ".join((_type_text(self.hint), *others))

    @property
    def default_text(self) -> str:
        """What holds where it is absent, in words."""
        if self.required:
            return "required"
        return _value_text(self.default)


KeyTree: TypeAlias = dict[str, "ConfigKey | KeyTree"]


class KeyReference(NamedTuple):
    """One key of the config, for the documentation."""

    key: str
    type: str
    default: str
    description: str
    unit: str


@cache
def config_keys() -> tuple[ConfigKey, ...]:
    """Return every key that acts, section by section."""
    keys = [*_declared(OtherForms, (), ("forms",)), *_declared(Config, (), ())]
    known = dict(zip(SECTIONS, range(len(SECTIONS)), strict=True))
    return tuple(
        sorted(keys, key=lambda key: (known.get(key.path[0], len(known)), not key.required))
    )


@cache
def key_tree() -> KeyTree:
    """Return the keys as they are nested in a config."""
    tree: KeyTree = {}
    for key in config_keys():
        node = tree
        for step in key.path[:-1]:
            inner = node.setdefault(step, {})
            assert isinstance(inner, dict)
            node = inner
        node[key.path[-1]] = key
    return tree


def keys_below(where: DataPath) -> list[str]:
    """Return the names of the keys and sections directly below a path."""
    node: ConfigKey | KeyTree = key_tree()
    for step in where:
        node = node.get(str(step), {}) if isinstance(node, dict) else {}
    return list(node) if isinstance(node, dict) else []


def config_reference() -> list[KeyReference]:
    """Return what the documentation says of every key."""
    return [
        KeyReference(k.name, k.accepted, k.default_text, k.key.description, k.key.unit)
        for k in config_keys()
    ]


def _declared(owner: type, path: tuple[str, ...], fields: tuple[str, ...]) -> Iterator[ConfigKey]:
    hints = get_type_hints(owner, include_extras=True)
    for item in dataclasses.fields(owner):
        hint, marks = hints[item.name], getattr(hints[item.name], "__metadata__", ())
        place = (*fields, item.name)
        for mark in marks:
            if isinstance(mark, Section):
                steps = tuple(mark.at.split(".")) if mark.at else ()
                yield from _declared(hint.__origin__, (*path, *steps), place)
            elif isinstance(mark, Key):
                steps = tuple((mark.at or item.name).split("."))
                default = item.default
                if item.default_factory is not _REQUIRED:
                    default = item.default_factory()
                yield ConfigKey((*path, *steps), owner, place, _bare(hint), mark, default)


def _bare(hint: Any) -> Any:
    """Return an annotation without its `Key`, so that equal types are the same."""
    marks = tuple(mark for mark in hint.__metadata__ if not isinstance(mark, Key))
    return Annotated[(hint.__origin__, *marks)] if marks else hint.__origin__


def _type_text(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Annotated:
        limits = (
            f" {sign} {value:g}"
            for mark in hint.__metadata__
            for name, sign in _COMPARISONS.items()
            if (value := getattr(mark, name, None)) not in {None, LARGEST}
        )
        return _type_text(hint.__origin__) + ",".join(limits)
    if origin in {Union, UnionType}:
        return " or ".join(_type_text(part) for part in get_args(hint) if part is not NoneType)
    if origin is Literal:
        return " | ".join(get_args(hint))
    return _TYPES[hint]


def _value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping) and value:
        return ", ".join(f"{name} {_value_text(item)}" for name, item in value.items())
    if isinstance(value, Bounds):
        return f"{value.lower:g}..{value.upper:g}"
    if value == () or value == {}:
        return "none"
    return value if isinstance(value, str) else show(value)
