"""Every key of the config, as the dataclasses of `problem` declare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from homodyne_cli.io.yaml_text.scalars import show
from homodyne_cli.keys import LARGEST, Key, Section, Text
from homodyne_cli.problem import Bounds, Config

#: Sections (and keys at the top) in the order of the reference, of dumps and of templates.
SECTIONS: Final = (
    *("analysis_mode", "model", "experimental_data", "analyzer_parameters", "phi_filtering"),
    *("noise", "per_angle_mode", "fourier_order", "per_repeat_mode", "initial_parameters"),
    *("parameter_space", "optimization", "output"),
)
CONDITION: Final = " A fit uses it only with "
_COMPARISONS: Final = {"gt": ">", "ge": ">=", "le": "<="}
_TYPES: Final = {bool: "true | false", int: "integer", float: "number", str: "text", Path: "text"}


@dataclasses.dataclass(frozen=True)
class OtherForms:
    """Keys by which a config may say in another way what fields of `Config` hold."""

    # fmt: off
    folder: Annotated[Text | None, Key(
        "Folder of the data file, in place of file_path.",
        at="experimental_data.data_folder_path")] = None
    file: Annotated[Text | None, Key(
        "Name of the data file in data_folder_path.", at="experimental_data.data_file_name")] = None
    filtering: Annotated[bool | None, Key(
        "Whether target_ranges select angles; true when they are given.",
        at="phi_filtering.enabled", example="false")] = None
    order: Annotated[tuple[str, ...] | None, Key(
        "Order of the list in values; null is the order of the model.",
        at="initial_parameters.parameter_names", written="list of names")] = None
    # fmt: on


class ConfigKey(NamedTuple):
    """One key of the config.

    Attributes
    ----------
    key, type, default, description
        Dotted name, what is accepted, what holds where it is absent, what it does: in words.
    path
        Its place in the YAML tree.
    owner, fields
        The dataclass that declares it, and the fields that lead there from `Config`; from
        ``forms`` for `OtherForms`.
    hint, mark
        What its value must be, and its declaration.
    value
        What holds where it is absent; `dataclasses.MISSING` if it must be there.
    """

    key: str
    type: str
    default: str
    description: str
    path: tuple[str, ...]
    owner: Callable[..., object]
    fields: tuple[str, ...]
    hint: Any
    mark: Key
    value: object


@cache
def config_keys() -> tuple[ConfigKey, ...]:
    """Return every key that acts, section by section, required ones first."""
    keys = [*_declared(OtherForms, (), ("forms",)), *_declared(Config, (), ())]
    rank = {section: index for index, section in enumerate(SECTIONS)}
    last = len(SECTIONS)
    return tuple(sorted(keys, key=lambda k: (rank.get(k.path[0], last), k.default != "required")))


def key_named(name: str) -> ConfigKey:
    """Return the key of a dotted name."""
    return next(key for key in config_keys() if key.key == name)


@cache
def keys_below(where: tuple[str, ...]) -> dict[str, ConfigKey | None]:
    """Return the keys directly below a path by name; a section stands for None."""
    depth = len(where)
    inside = [key for key in config_keys() if key.path[:depth] == where and len(key.path) > depth]
    return {k.path[depth]: k if len(k.path) == depth + 1 else None for k in inside}


def _declared(owner: type, path: tuple[str, ...], fields: tuple[str, ...]) -> Iterator[ConfigKey]:
    hints = get_type_hints(owner, include_extras=True)
    for item in dataclasses.fields(owner):
        hint, place = hints[item.name], (*fields, item.name)
        marks = getattr(hint, "__metadata__", ())
        for mark in marks:
            if isinstance(mark, Section):
                inside = (*path, *mark.at.split(".")) if mark.at else path
                yield from _declared(hint.__origin__, inside, place)
            if not isinstance(mark, Key):
                continue
            below = (*path, *(mark.at or item.name).split("."))
            make = item.default_factory
            value = item.default if make is dataclasses.MISSING else make()
            # Without the Key, so that equal types are the same.
            others = tuple(other for other in marks if other is not mark)
            bare = Annotated[(hint.__origin__, *others)] if others else hint.__origin__
            yield ConfigKey(
                key=".".join(below),
                type=mark.written or " | ".join((_type_text(bare), *dict(mark.spellings))),
                default="required" if value is dataclasses.MISSING else value_text(value),
                description=mark.description + _condition(mark.needs, below),
                path=below,
                owner=owner,
                fields=place,
                hint=bare,
                mark=mark,
                value=value,
            )


def _condition(needs: tuple[str, str] | None, path: tuple[str, ...]) -> str:
    if needs is None:
        return ""
    sibling = needs[0].removeprefix(".".join((*path[:-1], "")))
    return f"{CONDITION}{sibling}: {needs[1]}."


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
    return " | ".join(get_args(hint)) if origin is Literal else _TYPES.get(hint, "")


def value_text(value: object) -> str:
    """Return a default, or another value of a key, in words."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Bounds):
        return f"{value.lower:g}..{value.upper:g}"
    if isinstance(value, (Mapping, tuple)):
        items = [f"{name} {value_text(value[name])}" for name in value]
        return ", ".join(items) or "none"
    return value if isinstance(value, str) else show(value)
