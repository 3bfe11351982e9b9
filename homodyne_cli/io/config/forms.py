"""Bring the ways a config may be written into one normal form.

In the normal form there is one way to write each thing: parameters by their names in the table,
values and bounds by name, pairs as lists, frames one by one.
"""

from __future__ import annotations

import re
from typing import Final

from homodyne_cli.io.config.legacy import NLSQ, modernise
from homodyne_cli.io.config.source import dotted, nearest
from homodyne_cli.io.config.tree import ConfigTree, Named
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import BY_NAME, NAMES, AnalysisMode, names_of
from homodyne_cli.problem import default_bounds

MODES: Final[dict[str, AnalysisMode]] = {
    "laminar_flow": "laminar_flow",
    "static": "static",
    "static_isotropic": "static",
    "static_anisotropic": "static",
}
SCALING: Final = ("contrast", "offset")
BOUNDS: Final = ("parameter_space", "bounds")
INITIAL: Final = ("initial_parameters",)
RANGES: Final = ("phi_filtering", "target_ranges")
BAD_FRAMES: Final = ("experimental_data", "bad_frames")
#: A map of so many frames would not fit in a machine.
MOST_BAD_FRAMES: Final = 100_000
_FRAMES: Final = re.compile(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*\Z")


def normalise(tree: ConfigTree) -> None:
    """Bring a config into normal form; what cannot be brought into it is refused."""
    modernise(tree)
    names = names_of(_mode(tree) or "laminar_flow")
    _bounds(tree, names)
    _initial(tree, names)
    where = (*NLSQ, "x_scale_map")
    if tree.get(where) == {}:
        tree.pop(where)
    scales = tree.entries(where, names)
    if scales is not None and isinstance(tree.get(where), dict):
        tree.put_named(where, scales)
        if tree.get((*NLSQ, "x_scale")) is None:
            tree.put((*NLSQ, "x_scale"), "config")
    _phi_ranges(tree)
    _bad_frames(tree)


def _mode(tree: ConfigTree) -> AnalysisMode | None:
    where = ("analysis_mode",)
    value = tree.get(where)
    hint = f"it should be one of {', '.join(MODES)}"
    if value is None:
        tree.source.refuse(where, "analysis_mode is missing", hint=hint, named=False, missing=True)
    elif isinstance(value, str) and value in MODES:
        return MODES[value]
    else:
        near = nearest(value, MODES) if isinstance(value, str) else None
        hint = f"did you mean {near!r}? {hint}" if near else hint
        tree.refuse(where, f"{show(value)} is not a mode", hint=hint)
    return None


def _pair(
    tree: ConfigTree, item: object, where: DataPath, keys: tuple[str, str]
) -> tuple[list[object], tuple[str | int, str | int]] | None:
    """Read ``[low, high]`` or a mapping as a list of two, with the steps that lead to them."""
    if isinstance(item, list) and len(item) == len(keys):
        return item, (0, 1)
    if isinstance(item, dict):
        for key in [key for key in item if key not in keys]:
            tree.refuse_key((*where, key), keys)
        return [item.get(key) for key in keys], keys
    hint = f"it should be [{', '.join(keys)}] or a mapping with {' and '.join(keys)}"
    tree.source.refuse(where, f"{show(item)} is not a pair of bounds", hint=hint)
    return None


def _bounds(tree: ConfigTree, names: tuple[str, ...]) -> None:
    raw = tree.get(BOUNDS)
    known = (*NAMES, *SCALING)
    if isinstance(raw, list):
        named = tree.by_name(_named_items(tree, raw), known)
    elif isinstance(raw, dict):
        named = tree.entries(BOUNDS, known) or {}
    else:
        if raw is not None:
            hint = "it should be a list of {name, min, max}, or a mapping from names to [min, max]"
            tree.refuse(BOUNDS, f"{show(raw)} is {kind_of(raw)}", hint=hint)
        return
    tree.put_named(BOUNDS, named)
    for name, (item, _) in named.items():
        where = (*BOUNDS, name)
        _interval(tree, name, {} if item is None else item, where)
        if name not in (*names, *SCALING):
            # homodyne 2.x configs give them for every mode.
            tree.unused[dotted(where)] = None
            tree.pop(where)


def _named_items(tree: ConfigTree, items: list[object]) -> list[tuple[object, object, DataPath]]:
    named: list[tuple[object, object, DataPath]] = []
    for index, item in enumerate(items):
        where = (*BOUNDS, index)
        if isinstance(item, dict) and "name" in item:
            rest = {key: value for key, value in item.items() if key != "name"}
            named.append((item["name"], rest, where))
        else:
            hint = "each item of the list should be a mapping with name, min and max"
            tree.source.refuse(where, f"{show(item)} names no parameter", hint=hint)
    return named


def _interval(tree: ConfigTree, name: str, item: object, where: DataPath) -> None:
    """Put bounds as a list of two; a bound that is not given keeps its default."""
    pair = _pair(tree, item, where, ("min", "max"))
    if pair is None:
        tree.pop(where)
        return
    given, steps = pair
    table = default_bounds()[name]
    defaults = (table.lower, table.upper)
    low, high = (d if value is None else value for value, d in zip(given, defaults, strict=True))
    tree.put(where, [low, high])
    tree.source.move({(*where, i): (*where, step) for i, step in enumerate(steps)})
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= high:
        message = f"bounds of {name}: min {low:g} is not below max {high:g}"
        default = " (a bound that is not given keeps its default)" * (None in given)
        culprit = (*where, 1 if given[0] is None else 0)
        tree.source.refuse(culprit, message, hint="min < max" + default, named=False)
        tree.pop(where)


def _initial(tree: ConfigTree, names: tuple[str, ...]) -> None:
    _values(tree, names, _order(tree, names))
    fixed = (*INITIAL, "fixed_parameters")
    held = tree.entries(fixed, names)
    if held is not None:
        values = tree.get((*INITIAL, "values"))
        start = {name: BY_NAME[name].start for name in names}
        start |= values if isinstance(values, dict) else {}
        tree.put_named(
            fixed, {n: (start[n] if v is None else v, place) for n, (v, place) in held.items()}
        )
    active = (*INITIAL, "active_parameters")
    if isinstance(tree.get(active), list):
        tree.put(active, list(tree.entries(active, names) or ()))
    for name in SCALING:
        where = (*INITIAL, "per_angle_scaling", name)
        scalar = tree.get(where)
        if isinstance(scalar, (int, float)):
            tree.put(where, [scalar])
            tree.source.move({(*where, 0): where})


def _order(tree: ConfigTree, names: tuple[str, ...]) -> list[str]:
    where = (*INITIAL, "parameter_names")
    if not isinstance(tree.get(where), list):
        return list(names)
    order = list(tree.entries(where, names) or ())
    missing = [name for name in names if name not in order]
    if missing and not tree.source.refused(where):
        hint = f"list all of {', '.join(names)}, in any order, or leave it out"
        tree.refuse(where, f"{', '.join(missing)} missing", hint=hint)
    return order


def _values(tree: ConfigTree, names: tuple[str, ...], order: list[str]) -> None:
    where = (*INITIAL, "values")
    node = tree.get(where)
    named: Named
    if isinstance(node, list):
        if len(node) != len(order):
            given = f"{len(node)} value{'s' * (len(node) != 1)} for {len(order)} parameters"
            tree.refuse(where, given, hint=f"give one each for {', '.join(order)}")
            return
        named = {n: (v, (*where, i)) for i, (n, v) in enumerate(zip(order, node, strict=True))}
    elif isinstance(node, dict):
        named = tree.entries(where, names) or {}
    else:
        return
    tree.put_named(where, named)
    missing = [name for name in names if name not in named]
    if missing and not tree.source.refused(where):
        hint = f"give all of {', '.join(names)}, or null to let the program choose"
        tree.refuse(where, f"no value for {', '.join(missing)}", hint=hint)


def _phi_ranges(tree: ConfigTree) -> None:
    raw = tree.get(RANGES)
    if not isinstance(raw, list):
        return
    keys = ("min_angle", "max_angle")
    for index, item in enumerate(raw):
        where = (*RANGES, index)
        pair = _pair(tree, item, where, keys)
        if pair is None:
            continue
        raw[index], steps = pair
        tree.source.move({(*where, i): (*where, step) for i, step in enumerate(steps)})


def _bad_frames(tree: ConfigTree) -> None:
    raw = tree.get(BAD_FRAMES)
    if raw is None or isinstance(raw, dict):
        return
    frames: list[object] = []
    moves: dict[DataPath, DataPath] = {}
    for index, item in enumerate(raw if isinstance(raw, list) else [raw]):
        place: DataPath = (*BAD_FRAMES, index) if isinstance(raw, list) else BAD_FRAMES
        expanded = _frame_range(tree, item, place) if isinstance(item, str) else (item,)
        if len(frames) + len(expanded) > MOST_BAD_FRAMES:
            message = f"more than {MOST_BAD_FRAMES} frames"
            tree.refuse(BAD_FRAMES, message, hint="leave them out by start_frame and end_frame")
            return
        moves |= {(*BAD_FRAMES, len(frames) + i): place for i in range(len(expanded))}
        frames += expanded
    tree.put(BAD_FRAMES, frames)
    tree.source.move(moves)


def _frame_range(tree: ConfigTree, text: str, where: DataPath) -> range:
    match = _FRAMES.match(text)
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if 1 <= low <= high:
        return range(low, high + 1)
    problem = "an empty or impossible range" if match else "not a range"
    hint = "it should be a frame, counted from 1, or a range such as 40-43"
    tree.source.refuse(where, f"{show(text)} is {problem} of frames", hint=hint)
    return range(0)
