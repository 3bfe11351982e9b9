"""Run directories as somebody else may have made them: one thing in them is wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

JSON_FILES = (
    *("parameters.json", "convergence_metrics.json"),
    *("analysis_results_nlsq.json", "manifest.json"),
)
#: What stands for a number that JSON's grammar, or a float, cannot hold.
_LITERALS = {"@nan@": "NaN", "@inf@": "1e400", "@minus@": "-Infinity", "@long@": "9" * 400}
_DEEP: object = 0
for _ in range(500):
    _DEEP = [_DEEP]
ODD: tuple[object, ...] = (
    *(None, True, 0, 1, -1, 2, 0.0, -0.5, 1e-300, 1e300, -1e300, 1e15, 3.7),
    *("", "text", "1.0", "../../../etc/passwd", "<script>alert(1)</script>"),
    *("\x1b[2J\n\x00", "x" * 9999),
    *([], {}, [1.0], [[1.0, 2.0]], [1.0, 0.0], {"value": 1.0}, [None, None], ["a", "b"], _DEEP),
    *_LITERALS,
)  # fmt: skip

_MANY = json.dumps({"parameters": {f"{k:x}": 0 for k in range(250_000)}})

Rng = np.random.Generator


def mutate(run: Path, target: Path, rng: Rng) -> str:
    """Copy a run directory with one thing changed; return what."""
    shutil.copytree(run, target, symlinks=True)
    home = target / "nlsq" if (target / "nlsq").is_dir() else target
    arrays = _array if (home / "fitted_data.h5").is_file() else _npz
    kinds = (*(_value,) * 9, *(_choices,) * 4, *(_whole_file,) * 2, *(arrays,) * 9)
    with np.errstate(all="ignore"):
        return kinds[rng.integers(len(kinds))](home, rng)


def _present(home: Path, names: tuple[str, ...], rng: Rng) -> Path:
    there = [name for name in names if (home / name).is_file()]
    return home / there[rng.integers(len(there))]


def _places(tree: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of everything in a JSON tree; of long lists the ends alone."""
    if isinstance(tree, dict):
        return [at, *(p for k, v in tree.items() for p in _places(v, (*at, k)))]
    if isinstance(tree, list):
        ends = sorted({0, len(tree) - 1} & set(range(len(tree))))
        return [at, *(p for k in ends for p in _places(tree[k], (*at, k)))]
    return [at]


def _value(home: Path, rng: Rng) -> str:
    """Delete, replace, wrap or repeat something in a JSON file."""
    path = _present(home, JSON_FILES, rng)
    tree = json.loads(path.read_text(encoding="utf-8"))
    places = _places(tree)
    place = places[rng.integers(len(places))]
    holder, key = {"": tree}, ""
    for step in place:
        holder, key = holder[key], step  # type: ignore[assignment]
    old = holder[key]
    kind = ["delete", "replace", "replace", "replace", "wrap", "repeat"][rng.integers(6)]
    said = f"{path.name}: {kind} {'.'.join(map(str, place))}"
    if kind == "delete" and place:
        del holder[key]
    elif kind == "wrap":
        holder[key] = [old]
    elif kind == "repeat" and isinstance(old, list):
        holder[key] = [*old, *old[:1]]
    else:
        new = ODD[rng.integers(len(ODD))]
        holder[key], said = new, f"{said} by {str(new)[:40]!r}"
    text = json.dumps(holder[key] if not place else tree)
    for mark, literal in _LITERALS.items():
        text = text.replace(f'"{mark}"', literal)
    path.write_text(text, encoding="utf-8")
    return said


def _choices(home: Path, rng: Rng) -> str:
    """Choose another mode, convention, scaling or loss, other fixed parameters, other numbers."""
    path = home / "parameters.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    choices = {
        "analysis_mode": ("static", "laminar_flow"),
        "convention": ("he2024", "homodyne-2"),
        "per_angle_mode": ("individual", "shared", "fixed", "fourier"),
        "loss": ("linear", "soft_l1", "huber", "cauchy", "arctan"),
        "fourier_order": (0, 1, 2, 10**9),
    }
    said = []
    for key, values in choices.items():
        if key in tree and rng.random() < 0.3:
            tree[key] = values[rng.integers(len(values))]
            said.append(f"{key} {tree[key]}")
    often = rng.random()
    for name, row in tree["parameters"].items():
        if "fixed" in row and rng.random() < often:
            row["fixed"] = True
            said.append(f"{name} fixed")
        if rng.random() < 0.2:
            row["value"] *= [0.0, -1.0, 1e3, 1e-6, 1e25][rng.integers(5)]
            said.append(f"{name} {row['value']:g}")
    path.write_text(json.dumps(tree), encoding="utf-8")
    return f"parameters.json: {', '.join(said) or 'nothing'}"


def _whole_file(home: Path, rng: Rng) -> str:
    """Replace a file by something else under its name."""
    names = (*JSON_FILES, "fitted_data.h5", "fitted_data.npz", "config.yaml")
    path = _present(home, names, rng)
    content = path.read_bytes()
    path.unlink()
    kinds: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "empty": lambda: path.write_bytes(b""),
        "cut": lambda: path.write_bytes(content[: rng.integers(1, len(content))]),
        "noise": lambda: path.write_bytes(rng.bytes(2000)),
        "deep": lambda: path.write_bytes(b"[" * 100_000),
        "deep objects": lambda: path.write_bytes(b'{"parameters":' * 50_000),
        "long": lambda: path.write_bytes(b"[" + b"{}," * 5_000_000 + b"0]"),
        "many": lambda: path.write_bytes(b'{"history":[' + b"{}," * 900_000 + b"0]}"),
        "many keys": lambda: path.write_text(_MANY),
        "UTF-16": lambda: path.write_bytes(content.decode("latin-1").encode("utf-16")),
        "mark": lambda: path.write_bytes(b"\xef\xbb\xbf" + content),
        "NUL": lambda: path.write_bytes(content + b"\0"),
        "folder": path.mkdir,
        "link out": lambda: path.symlink_to("/etc/hostname"),
        "link to itself": lambda: path.symlink_to(path.name),
        "link to nothing": lambda: path.symlink_to("nowhere"),
        "device": lambda: path.symlink_to("/dev/zero"),
    }
    if hasattr(os, "mkfifo"):
        kinds["pipe"] = lambda: os.mkfifo(path)
    name = list(kinds)[rng.integers(len(kinds))]
    kinds[name]()
    return f"{path.name}: {name}"


def _odd_arrays(old: np.ndarray, rng: Rng) -> dict[str, np.ndarray]:
    """Return arrays that may stand where one stood, by what was done to it."""
    one = np.ravel(old)[:1].astype(float).reshape(())
    odd = old.astype(float).copy()
    flat = odd.reshape(-1)
    flat[rng.integers(flat.size)] = [np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0][rng.integers(6)]
    return {
        "scalar": one,
        "one more axis": old[..., np.newaxis],
        "leading axis": old[np.newaxis],
        "flat": old.ravel(),
        "one": one[np.newaxis],
        "empty": np.zeros((0,) * max(old.ndim, 1)),
        "shorter": old[:-1] if old.ndim else one[np.newaxis],
        "longer": np.concatenate([old, old[-1:]]) if old.ndim else np.repeat(one, 2),
        "backwards": old[::-1] if old.ndim else -one,
        "all zero": np.zeros_like(old),
        "all NaN": np.full(old.shape, np.nan),
        "all alike": np.full(old.shape, float(one)),
        "huge": np.full(old.shape, 1e300),
        "tiny": np.full(old.shape, 1e-300),
        "times 1e30": old * 1e30,
        "negative": -np.abs(old.astype(float)),
        "integers": np.nan_to_num(old).astype(int),
        "half": old.astype(np.float16),
        "other byte order": old.astype(">f8"),
        "complex": old.astype(complex),
        "truth": old.astype(bool),
        "text": old.astype("S8"),
        "one odd value": odd,
    }


def _array(home: Path, rng: Rng) -> str:
    """Change a dataset, a link or an attribute of the HDF5 file."""
    with h5py.File(home / "fitted_data.h5", "r+") as file:
        name = sorted(file)[rng.integers(len(file))]
        old = file[name][()]
        arrays = _odd_arrays(np.asarray(old), rng)
        versions: tuple[object, ...] = (1, "x", -1, 99, np.ones(3))
        special: dict[str, Callable[[], object]] = {
            "missing": lambda: None,
            "group": lambda: file.create_group(name),
            "soft link": lambda: file.__setitem__(name, h5py.SoftLink("/phi")),
            "loop": lambda: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
            "link out": lambda: file.__setitem__(name, h5py.ExternalLink("/etc/hostname", "/c2")),
            "values outside": lambda: file.create_dataset(
                name, (4,), "f8", external=[("/etc/hostname", 0, 32)]
            ),
            "virtual": lambda: file.create_virtual_dataset(name, _virtual(np.shape(old))),
            "declared huge": lambda: file.create_dataset(
                name, (10**5,) * max(np.ndim(old), 1), "f8", chunks=True
            ),
            "no space": lambda: file.create_dataset(name, data=h5py.Empty("f8")),
            "ragged": lambda: file.create_dataset(name, (2,), h5py.vlen_dtype(np.float64)),
            "records": lambda: file.create_dataset(name, np.shape(old), [("a", "f8")]),
            "words": lambda: file.create_dataset(name, data="many words"),
            "version": lambda: file.attrs.__setitem__("schema_version", versions[rng.integers(5)]),
        }
        kinds = [*arrays, *special]
        kind = kinds[rng.integers(len(kinds))]
        if kind == "version":
            special[kind]()
            return f"fitted_data.h5: {kind}"
        del file[name]
        if kind in arrays:
            file[name] = arrays[kind]
        else:
            special[kind]()
    return f"fitted_data.h5: {name} {kind}"


def _virtual(shape: tuple[int, ...]) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout(shape=shape, dtype="f8")
    layout[...] = h5py.VirtualSource("/etc/hostname", "c2", shape=shape)
    return layout


def _npz(home: Path, rng: Rng) -> str:
    """Change an array of homodyne 2.x."""
    path = home / "fitted_data.npz"
    arrays = dict(np.load(path))
    name = list(arrays)[rng.integers(len(arrays))]
    odd: dict[str, np.ndarray | None] = {
        **_odd_arrays(arrays[name], rng),
        "missing": None,
        "objects": np.array([{}, []], dtype=object),
        "Fortran order": np.asfortranarray(arrays[name]),
    }
    kind = list(odd)[rng.integers(len(odd))]
    new = odd[kind]
    if new is None:
        del arrays[name]
    else:
        arrays[name] = new
    np.savez(path, **arrays)
    return f"fitted_data.npz: {name} {kind}"
