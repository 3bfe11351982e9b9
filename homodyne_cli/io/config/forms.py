"""Bring the ways a config may be written into one normal form.

In the normal form there is one way to write each thing: parameters by their names in the table,
values and bounds by name, pairs as lists, frames one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, get_args

from homodyne_cli.io.config.keys import key_named
from homodyne_cli.io.config.legacy import NLSQ, modernise
from homodyne_cli.io.config.tree import ConfigTree, Node
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import BY_NAME, NAMES, AnalysisMode, names_of
from homodyne_cli.problem import default_bounds

SCALING: Final = ("contrast", "offset")
BOUNDS: Final = "parameter_space.bounds"
INITIAL: Final = "initial_parameters"
RANGES: Final = "phi_filtering.target_ranges"
BAD_FRAMES: Final = "experimental_data.bad_frames"
#: A map of so many frames would not fit in a machine.
MOST_BAD_FRAMES: Final = 100_000
_FRAMES: Final = re.compile(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*\Z")


def normalise(tree: ConfigTree) -> None:
    """Bring a config into normal form; what cannot be brought into it is refused."""
    modernise(tree)
    names = names_of(mode_of(tree.around("analysis_mode").value) or "laminar_flow")
    _bounds(tree, names)
    _values(tree, names)
    _active_and_fixed(tree, names)
    _scale_map(tree, names)
    for name in SCALING:
        where = f"{INITIAL}.per_angle_scaling.{name}"
        scalar = tree.find(where)
        if scalar is not None and isinstance(scalar.value, (int, float)):
            tree.put(where, scalar.become([scalar]))
    ranges = tree.find(RANGES)
    if ranges is not None and isinstance(ranges.value, list):
        keys = ("min_angle", "max_angle")
        ranges.value = [_pair(tree, item, keys, (None, None)) for item in ranges.items]
    _bad_frames(tree)


def mode_of(name: object) -> AnalysisMode | None:
    """Return the mode that a name stands for, None if it stands for none."""
    known: Sequence[AnalysisMode] = get_args(AnalysisMode)
    standard = dict(key_named("analysis_mode").mark.spellings).get(str(name), name)
    return next((mode for mode in known if mode == standard), None)


def _pair(
    tree: ConfigTree, node: Node, keys: tuple[str, str], default: tuple[object, object]
) -> Node:
    """Return ``[low, high]`` or a mapping as a list of two; what is not given has its default."""
    if isinstance(node.value, list) and len(node.items) == len(keys):
        return node
    if not isinstance(node.value, dict):
        hint = f"it should be [{', '.join(keys)}] or a mapping with {' and '.join(keys)}"
        tree.refuse(node, f"{show(node.plain())} is not a pair of bounds", hint=hint)
        return node
    pair = []
    for key, value in zip(keys, default, strict=True):
        below = node.entries.pop(key, None)
        given = below is not None and below.value is not None
        pair.append(below if given else Node(value, (*node.where, key), node.at, node.key_at))
    for below in node.entries.values():
        tree.refuse_key(below, keys)
    return node.become([*pair, *node.items])


def _bounds(tree: ConfigTree, names: tuple[str, ...]) -> None:
    node = tree.find(BOUNDS)
    if node is None:
        return
    items: list[tuple[object, Node]] = list(node.entries.items())
    if isinstance(node.value, list):
        items = [(_name_of(tree, item), item) for item in node.items]
    elif not isinstance(node.value, dict):
        hint = "it should be a list of {name, min, max}, or a mapping from names to [min, max]"
        tree.refuse(node, f"{show(node.value)} is {kind_of(node.value)}", hint=hint)
        return
    known = (*NAMES, *SCALING)
    named = tree.by_name([(name, item) for name, item in items if not item.bad], known)
    pairs = {n: item if item.bad else _interval(tree, n, item) for n, item in named.items()}
    for name in NAMES:
        # homodyne 2.x configs give bounds of the flow for every mode.
        if name in pairs and name not in names and not pairs[name].spoilt:
            tree.unused[f"{BOUNDS}.{name}"] = None
            del pairs[name]
    tree.put(BOUNDS, node.become(pairs))


def _name_of(tree: ConfigTree, item: Node) -> object:
    name = item.entries.pop("name", None)
    if name is None:
        hint = "each item of the list should be a mapping with name, min and max"
        tree.refuse(item, f"{show(item.plain())} names no parameter", hint=hint)
        return None
    return name.plain()


def _interval(tree: ConfigTree, name: str, item: Node) -> Node:
    """Return bounds as a list of two; a bound that is not given keeps its default."""
    table = default_bounds()[name]
    given = item.become({}) if item.value is None else item
    complete = len([below for below in given.items if below.value is not None]) > 1
    node = _pair(tree, given, ("min", "max"), (table.lower, table.upper))
    low, high, *_ = (*node.items, node, node)
    numbers = [n.value for n in (low, high) if isinstance(n.value, (int, float))]
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        message = f"bounds of {name}: min {show(numbers[0])} is not below max {show(numbers[1])}"
        hint = "min < max" + " (a bound that is not given keeps its default)" * (not complete)
        tree.refuse(high if low.at == given.at else low, message, hint=hint, named=False)
    return node


def _values(tree: ConfigTree, names: tuple[str, ...]) -> None:
    order = _order(tree, names)
    where = f"{INITIAL}.values"
    node = tree.find(where)
    if node is None or not isinstance(node.value, (dict, list)):
        return
    if isinstance(node.value, dict):
        named = tree.by_name(node.entries.items(), names)
        missing = [name for name in names if name not in named]
        if missing and not node.spoilt:
            hint = f"give all of {', '.join(names)}, or null to let the program choose"
            tree.refuse(node, f"no value for {', '.join(missing)}", hint=hint)
    elif len(node.items) == len(order):
        named = dict(zip(order, node.items, strict=True))
    else:
        given = f"{len(node.items)} value{'s' * (len(node.items) != 1)}"
        hint = f"give one each for {', '.join(order)}"
        tree.refuse(node, f"{given} for {len(order)} parameters", hint=hint)
        return
    node.value = named


def _order(tree: ConfigTree, names: tuple[str, ...]) -> list[str]:
    where = f"{INITIAL}.parameter_names"
    node, order = tree.find(where), tree.entries(where, names)
    if node is None or order is None:
        return list(names)
    missing = [name for name in names if name not in order]
    if missing and not node.spoilt:
        hint = f"list all of {', '.join(names)}, in any order, or leave it out"
        tree.refuse(node, f"{', '.join(missing)} missing", hint=hint)
    return list(order)


def _active_and_fixed(tree: ConfigTree, names: tuple[str, ...]) -> None:
    where = f"{INITIAL}.active_parameters"
    active, node = tree.entries(where, names), tree.find(where)
    if active is not None and node is not None:
        node.value = [item.become(name) for name, item in active.items()]
    where = f"{INITIAL}.fixed_parameters"
    fixed, node = tree.entries(where, names), tree.find(where)
    if fixed is None or node is None:
        return
    listed = isinstance(node.value, list)
    for name, item in fixed.items():
        if (listed or item.value is None) and not item.bad:
            start = tree.find(f"{INITIAL}.values.{name}")
            fixed[name] = item.become(BY_NAME[name].start if start is None else start.value)
    node.value = fixed


def _scale_map(tree: ConfigTree, names: tuple[str, ...]) -> None:
    node = tree.find(f"{NLSQ}.x_scale_map")
    if node is None or not isinstance(node.value, dict):
        return
    node.value = tree.by_name(node.entries.items(), names) or None
    if node.value is not None and tree.find(f"{NLSQ}.x_scale") is None:
        tree.put(f"{NLSQ}.x_scale", node.become("config"))


def _bad_frames(tree: ConfigTree) -> None:
    node = tree.find(BAD_FRAMES)
    if node is None or isinstance(node.value, dict):
        return
    frames: list[Node] = []
    for item in node.items if isinstance(node.value, list) else [node]:
        numbers = _frame_range(tree, item, item.value) if isinstance(item.value, str) else [item]
        if len(frames) + len(numbers) > MOST_BAD_FRAMES:
            hint = "leave them out by start_frame and end_frame"
            tree.refuse(node, f"more than {MOST_BAD_FRAMES} frames", hint=hint)
            return
        frames += [item if n is item else item.become(n) for n in numbers]
    tree.put(BAD_FRAMES, node.become(frames))


def _frame_range(tree: ConfigTree, node: Node, text: str) -> range:
    match = _FRAMES.match(text)
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if 1 <= low <= high:
        return range(low, high + 1)
    problem = "an empty or impossible range" if match else "not a range"
    hint = "it should be a frame, counted from 1, or a range such as 40-43"
    tree.refuse(node, f"{show(text)} is {problem} of frames", hint=hint)
    return range(0)
