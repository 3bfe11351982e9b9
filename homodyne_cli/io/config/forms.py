"""Bring the ways a config may be written into the one form that `config_schema` describes."""

from __future__ import annotations

import re
from typing import Final

from homodyne_cli.io.config.editor import Editor
from homodyne_cli.io.config.legacy import NLSQ, modernise
from homodyne_cli.io.config.schema import LAST_FRAME
from homodyne_cli.io.config.source import Source, Tree, nearest
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show
from homodyne_cli.parameters import NAMES, AnalysisMode, names_of

MODES: Final[dict[str, AnalysisMode]] = {
    "laminar_flow": "laminar_flow",
    "static": "static",
    "static_isotropic": "static",
    "static_anisotropic": "static",
}
SCALING: Final = ("contrast", "offset")
BOUNDS: Final = ("parameter_space", "bounds")
INITIAL: Final = ("initial_parameters",)
_RANGE: Final = re.compile(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*\Z")


def normalise(data: Tree, source: Source) -> tuple[Tree, Source, tuple[str, ...]]:
    """Return the config in normal form, where its values came from, and the unused 2.x keys.

    Parameters
    ----------
    data
        The config as written; changed in place.
    source
        Where it came from.

    Raises
    ------
    ConfigError
        For what cannot be brought into normal form: an unknown mode or parameter, a wrong number
        of initial values, something that is neither of the accepted forms.
    """
    tree = Editor(data, source)
    modernise(tree)
    names = names_of(_mode(tree))
    _bounds(tree)
    _initial(tree, names)
    where = (*NLSQ, "x_scale_map")
    if tree.get(where) == {}:
        tree.pop(where)
    _by_name(tree, where, names)
    _phi_ranges(tree)
    _bad_frames(tree)
    return tree.data, tree.source, tuple(tree.unused)


def _mode(tree: Editor) -> AnalysisMode:
    where = ("analysis_mode",)
    value = tree.get(where)
    hint = f"it should be one of {', '.join(MODES)}"
    if value is None:
        raise tree.source.error((), "analysis_mode is missing", hint=hint)
    if not isinstance(value, str) or value not in MODES:
        near = nearest(value, MODES) if isinstance(value, str) else None
        hint = f"did you mean {near!r}? {hint}" if near else hint
        raise tree.error(where, f"{show(value)} is not a mode", hint=hint)
    return MODES[value]


def _pair(tree: Editor, value: object, where: DataPath, keys: tuple[str, str]) -> Tree:
    """Read ``[low, high]`` or a mapping; moves are recorded for the list."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and len(value) == len(keys):
        return dict(zip(keys, value, strict=True))
    hint = f"it should be [{', '.join(keys)}] or a mapping with {' and '.join(keys)}"
    raise tree.error(where, f"{show(value)} is not a pair of bounds", hint=hint)


def _bounds(tree: Editor) -> None:
    raw = tree.get(BOUNDS)
    if raw is None:
        return
    entries: dict[DataPath, tuple[object, object]]
    if isinstance(raw, dict):
        entries = {(*BOUNDS, name): (name, item) for name, item in raw.items()}
    elif isinstance(raw, list):
        entries = {
            (*BOUNDS, index): _named_entry(tree, item, (*BOUNDS, index))
            for index, item in enumerate(raw)
        }
    else:
        hint = "it should be a list of {name, min, max}, or a mapping from names to [min, max]"
        raise tree.error(BOUNDS, f"{show(raw)} is {kind_of(raw)}", hint=hint)
    result: Tree = {}
    first: dict[str, DataPath] = {}
    moves: dict[DataPath, DataPath] = {}
    for where, (written, item) in entries.items():
        name = tree.canonical(written, where, (*NAMES, *SCALING))
        _refuse_second(tree, first, name, where)
        result[name] = {} if item is None else _pair(tree, item, where, ("min", "max"))
        moves[*BOUNDS, name] = where
        if isinstance(item, list):
            moves |= {(*BOUNDS, name, key): (*where, i) for i, key in enumerate(("min", "max"))}
    tree.put(BOUNDS, result)
    tree.move(moves)


def _named_entry(tree: Editor, item: object, where: DataPath) -> tuple[object, object]:
    if not isinstance(item, dict) or "name" not in item:
        hint = "each item of the list should be a mapping with name, min and max"
        raise tree.error(where, f"{show(item)} names no parameter", hint=hint)
    return item["name"], {key: value for key, value in item.items() if key != "name"}


def _refuse_second(tree: Editor, first: dict[str, DataPath], name: str, where: DataPath) -> None:
    if name in first:
        place = tree.source.place(first[name], key=True)
        hint = f"it is first given at {place}; keep one of them"
        raise tree.error(where, f"{name} is given twice", hint=hint, key=True)
    first[name] = where


def _initial(tree: Editor, names: tuple[str, ...]) -> None:
    order = _parameter_names(tree, names)
    values = (*INITIAL, "values")
    _listed_values(tree, values, order)
    _by_name(tree, values, names)
    given = tree.get(values)
    if isinstance(given, dict):
        missing = [name for name in names if name not in given]
        if missing:
            hint = f"give all of {', '.join(names)}, or null to let the program choose"
            raise tree.error(values, f"no value for {', '.join(missing)}", hint=hint)
    fixed = (*INITIAL, "fixed_parameters")
    listed = tree.get(fixed)
    if isinstance(listed, list):
        checked = _names(tree, fixed, names)
        tree.put(fixed, dict.fromkeys(checked))
        tree.move({(*fixed, name): (*fixed, index) for index, name in enumerate(checked)})
    else:
        _by_name(tree, fixed, names)
    active = (*INITIAL, "active_parameters")
    if isinstance(tree.get(active), list):
        tree.put(active, _names(tree, active, names))
    for name in SCALING:
        where = (*INITIAL, "per_angle_scaling", name)
        scalar = tree.get(where)
        if isinstance(scalar, (int, float)):
            tree.put(where, [scalar])
            tree.move({(*where, 0): where})


def _parameter_names(tree: Editor, names: tuple[str, ...]) -> list[str]:
    where = (*INITIAL, "parameter_names")
    if not isinstance(tree.get(where), list):
        return list(names)
    order = _names(tree, where, names)
    missing = [name for name in names if name not in order]
    if missing:
        hint = f"list all of {', '.join(names)}, in any order, or leave it out"
        raise tree.error(where, f"{', '.join(missing)} missing", hint=hint)
    tree.put(where, order)
    return order


def _names(tree: Editor, where: DataPath, known: tuple[str, ...]) -> list[str]:
    items = tree.get(where)
    first: dict[str, DataPath] = {}
    for index, item in enumerate(items if isinstance(items, list) else []):
        place = (*where, index)
        _refuse_second(tree, first, tree.canonical(item, place, known), place)
    return list(first)


def _listed_values(tree: Editor, where: DataPath, order: list[str]) -> None:
    values = tree.get(where)
    if not isinstance(values, list):
        return
    if len(values) != len(order):
        given = f"{len(values)} value{'s' * (len(values) != 1)} for {len(order)} parameters"
        raise tree.error(where, given, hint=f"give one each for {', '.join(order)}")
    tree.put(where, dict(zip(order, values, strict=True)))
    tree.move({(*where, name): (*where, index) for index, name in enumerate(order)})


def _by_name(tree: Editor, where: DataPath, known: tuple[str, ...]) -> None:
    """Replace aliases among the keys of a mapping from parameter names."""
    mapping = tree.get(where)
    if not isinstance(mapping, dict):
        return
    first: dict[str, DataPath] = {}
    result: Tree = {}
    for written, value in mapping.items():
        place = (*where, written)
        name = tree.canonical(written, place, known)
        _refuse_second(tree, first, name, place)
        result[name] = value
    tree.put(where, result)
    tree.move({(*where, name): place for name, place in first.items()})


def _phi_ranges(tree: Editor) -> None:
    where = ("phi_filtering", "target_ranges")
    ranges = tree.get(where)
    if not isinstance(ranges, list):
        return
    keys = ("min_angle", "max_angle")
    result = [_pair(tree, item, (*where, i), keys) for i, item in enumerate(ranges)]
    tree.put(where, result)
    lists = [i for i, item in enumerate(ranges) if isinstance(item, list)]
    tree.move({(*where, i, key): (*where, i, j) for i in lists for j, key in enumerate(keys)})


def _bad_frames(tree: Editor) -> None:
    where = ("experimental_data", "bad_frames")
    raw = tree.get(where)
    if raw is None or isinstance(raw, dict):
        return
    items = raw if isinstance(raw, list) else [raw]
    frames: list[object] = []
    origins: list[DataPath] = []
    for index, item in enumerate(items):
        place: DataPath = (*where, index) if isinstance(raw, list) else where
        expanded = _frame_range(tree, item, place) if isinstance(item, str) else [item]
        frames += expanded
        origins += [place] * len(expanded)
    tree.put(where, frames)
    tree.move({(*where, index): place for index, place in enumerate(origins)})


def _frame_range(tree: Editor, text: str, where: DataPath) -> list[object]:
    match = _RANGE.match(text)
    hint = "it should be a frame, counted from 1, or a range such as 40-43"
    if match is None:
        raise tree.error(where, f"{text!r} is not a range of frames", hint=hint)
    low, high = int(match[1]), int(match[2])
    if not 1 <= low <= high <= LAST_FRAME:
        raise tree.error(where, f"{text!r} is an empty or impossible range of frames", hint=hint)
    return list(range(low, high + 1))
