"""The table of config keys, read off the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from pydantic import JsonValue

from homodyne_cli.io.config.schema import Root
from homodyne_cli.io.config.source import dotted
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import show

_Node: TypeAlias = Mapping[str, JsonValue]
_COMPARISONS: Final = {"exclusiveMinimum": ">", "minimum": ">=", "maximum": "<="}


class KeyReference(NamedTuple):
    """One key of the config, for the documentation.

    Attributes
    ----------
    key
        Dotted name.
    type
        What is accepted.
    default
        What holds when it is absent or null.
    description
        What it does.
    """

    key: str
    type: str
    default: str
    description: str


def config_reference() -> list[KeyReference]:
    """Return every config key that acts, section by section."""
    schema = Root.model_json_schema()
    return list(_rows(schema, schema["$defs"], ""))


def acting_below(where: DataPath) -> list[str]:
    """Return the names of the acting keys and sections directly below a path."""
    prefix = f"{dotted(where)}." if where else ""
    keys = [row.key for row in config_reference() if row.key.startswith(prefix)]
    return list(dict.fromkeys(key.removeprefix(prefix).split(".")[0] for key in keys))


def _rows(schema: _Node, sections: _Node, prefix: str) -> Iterator[KeyReference]:
    properties = schema["properties"]
    required = schema.get("required")
    assert isinstance(properties, dict)
    for name, node in properties.items():
        assert isinstance(node, dict)
        reference = node.get("$ref")
        if isinstance(reference, str):
            section = sections[reference.rsplit("/", 1)[-1]]
            assert isinstance(section, dict)
            yield from _rows(section, sections, f"{prefix}{name}.")
            continue
        is_required = isinstance(required, list) and name in required
        yield KeyReference(
            key=prefix + name,
            type=_type(node),
            default="required" if is_required else _default(node.get("default")),
            description=str(node.get("description", "")),
        )


def _type(node: _Node) -> str:
    written, options, branches = node.get("written"), node.get("enum"), node.get("anyOf")
    if isinstance(written, str):
        return written
    if isinstance(options, list):
        return " | ".join(str(option) for option in options)
    if isinstance(branches, list):
        names = [_type(branch) for branch in branches if isinstance(branch, dict)]
        return " or ".join(name for name in names if name != "null")
    items = node.get("items")
    if isinstance(items, dict):
        return f"list of {_type(items)}s"
    limits = [f" {sign} {node[key]}" for key, sign in _COMPARISONS.items() if key in node]
    base = {"boolean": "true | false", "string": "text"}.get(str(node["type"]), str(node["type"]))
    return base + ",".join(limits)


def _default(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if value in ([], {}):
        return "none"
    return value if isinstance(value, str) else show(value)
