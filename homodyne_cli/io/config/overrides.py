"""Command-line settings ``key.path=value``, entered into a config before it is checked."""

from __future__ import annotations

from collections.abc import Sequence

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.tree import ConfigTree, Node, dotted
from homodyne_cli.io.yaml_text.load import DataPath, parse_scalar
from homodyne_cli.io.yaml_text.scalars import cut, show
from homodyne_cli.io.yaml_text.strict import MAX_DEPTH
from homodyne_cli.parameters import canonical_name


def apply_overrides(tree: ConfigTree, overrides: Sequence[str]) -> None:
    """Enter settings into a config, in order.

    Values are read as YAML. A step into a list is an index from 0, or the ``name`` of one of its
    mappings (``parameter_space.bounds.D0.max=1e5``).

    Raises
    ------
    ConfigError
        If a setting has no ``=``, an empty step, or leads through a value that has no keys.
    """
    for setting in overrides:
        name, equals, text = setting.partition("=")
        steps = name.strip().split(".")
        if not equals or not all(steps) or len(steps) > MAX_DEPTH:
            raise ConfigError(
                f"--set {cut(setting)}: not of the form key.path=value",
                hint="for example --set optimization.nlsq.max_iterations=200",
            )
        option = f"--set {name.strip()}"
        try:
            value = parse_scalar(text)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error.message}", hint=error.hint) from error
        _enter(tree, steps, value, option)


def _enter(tree: ConfigTree, steps: Sequence[str], value: object, option: str) -> None:
    node, passed = tree.root, list[Node]()
    where: DataPath = ()
    for step in steps:
        if isinstance(node.value, list):
            key: str | int = _index(node, step, f"{option}: {dotted(where)}")
        elif isinstance(node.value, dict):
            key = step
        else:
            message = f"{option}: {dotted(where)} is {show(node.value)}, not a mapping"
            raise ConfigError(message, hint=f"set {dotted(where)} as a whole")
        where = (*where, key)
        below = node.child(key)
        if below is None:
            below = node.entries[step] = Node({}, where, "", "")
        elif below.value is None:
            below.value, below.at, below.key_at = {}, "", ""
        passed += [below, *below.items]
        node = below
    place = f"--set {dotted(where)}"
    node.value, node.at, node.key_at = tree.grow(value, where, place).value, "", ""
    for new in passed:
        new.at, new.key_at = new.at or place, new.key_at or place


def _index(node: Node, step: str, context: str) -> int:
    items = node.items
    if step.isdecimal() and len(step) < 9 and int(step) < len(items):
        return int(step)
    wanted = canonical_name(step) or step
    names = [below.value if (below := item.child("name")) else None for item in items]
    for index, name in enumerate(names):
        if isinstance(name, str) and wanted in {name, canonical_name(name)}:
            return index
    if items and all(isinstance(name, str) for name in names) and not step.isdecimal():
        where = (*node.where, len(items))
        items.append(Node({"name": Node(step, (*where, "name"), "", "")}, where, "", ""))
        return len(items) - 1
    known = ", ".join(str(name) for name in names if name is not None)
    raise ConfigError(
        f"{context} is a list of {len(items)} and has no item {step!r}",
        hint=f"give an index from 0 to {len(items) - 1}" + (f" or one of {known}" * bool(known)),
    )
