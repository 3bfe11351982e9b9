"""Reading a run directory back: this program's own, or one of homodyne 2.x."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast, get_args

import h5py
import numpy as np

from homodyne_cli.assessments import StoredRun
from homodyne_cli.dataset import Dataset, FloatArray, MapArray, MapSource, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.files.json_text import read_json_object
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.io.run.read_legacy_run import read_legacy_run
from homodyne_cli.parameters import BY_NAME, AnalysisMode, Convention, Loss, PerAngleMode
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters, SolverOptions
from homodyne_cli.results import FitRecord, IterationRecord, NoiseReport, Solution

Tree = Mapping[str, object]

_STEP_FIGURES = ("chi2", "edm", "step_norm", "seconds", "condition", "effective_ratio")


def read_run(directory: Path, gap: float | None = None) -> StoredRun:
    """Read a finished fit into memory; see `open_run`."""
    with open_run(directory, gap) as run:
        return run


@contextmanager
def open_run(
    directory: Path, gap: float | None = None, memory: MemoryBudget | None = None
) -> Iterator[StoredRun]:
    """Yield a finished fit.

    Parameters
    ----------
    directory
        A run directory of this program, or ``OUT/nlsq`` or ``OUT`` of homodyne 2.x.
    gap
        Gap in Å for a run that does not record it.
    memory
        Maps of this program's runs that need more than its budget stay on disk, until the block
        ends. None: no limit.

    Raises
    ------
    DataError
        If the directory is not a run, or a file in it is missing or damaged.
    UsageError
        If the budget is too small to work from disk.
    """
    with ExitStack() as held:
        yield _read(directory, gap, memory, held)


def _read(
    directory: Path, gap: float | None, memory: MemoryBudget | None, held: ExitStack
) -> StoredRun:
    if not directory.is_dir():
        raise DataError(
            "no such run directory", path=directory, hint="name a folder that fit wrote"
        )
    home = directory
    if not (home / "parameters.json").is_file() and (home / "nlsq").is_dir():
        home = home / "nlsq"
    if (home / "fitted_data.h5").is_file():
        return _own(home, memory, held)
    if (home / "fitted_data.npz").is_file():
        return read_legacy_run(home, gap)
    found = ", ".join(sorted(p.name for p in home.iterdir())[:8]) or "nothing"
    raise DataError(
        f"not a run directory: it holds {found}",
        path=directory,
        hint="a run holds parameters.json and fitted_data.h5 (homodyne 2.x: fitted_data.npz)",
    )


def section(tree: Tree, key: str, path: Path) -> Tree:
    """Return a nested object."""
    value = tree.get(key)
    if not isinstance(value, dict):
        raise DataError(f"has no {key!r} object", path=path)
    return cast(Tree, value)


def number(value: object) -> float:
    """Return a JSON number; null and anything else become NaN."""
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _own(home: Path, memory: MemoryBudget | None, held: ExitStack) -> StoredRun:
    path = home / "parameters.json"
    tree = read_json_object(path)
    convergence = read_json_object(home / "convergence_metrics.json")
    ended = section(convergence, "convergence", path)
    rows = {
        name: cast(Tree, row)
        for name, row in section(tree, "parameters", path).items()
        if name in BY_NAME and isinstance(row, dict)
    }
    limits = section(tree, "scaling_bounds", path)
    dataset, contrast, offset = _fitted_data(home / "fitted_data.h5", memory, held)
    covariance = section(tree, "covariance", path)
    rows_of_matrix = _list(covariance, "matrix", path)
    matrix = np.array([[number(v) for v in cast("list[object]", row)] for row in rows_of_matrix])
    scale = section(section(convergence, "x_scale", path), "values", path)
    values = {n: number(r.get("value")) for n, r in rows.items()}
    fixed = {n: values[n] for n, r in rows.items() if r.get("fixed")}
    scaling = tuple(contrast.tolist()), tuple(offset.tolist())
    problem = FitProblem(
        mode=cast(AnalysisMode, _one_of(get_args(AnalysisMode), tree, "analysis_mode", path)),
        convention=cast(Convention, _one_of(get_args(Convention), tree, "convention", path)),
        per_angle_mode=cast(
            PerAngleMode, _one_of(get_args(PerAngleMode), tree, "per_angle_mode", path)
        ),
        fourier_order=int(number(tree.get("fourier_order"))),
        initial=InitialParameters(fixed=fixed, contrast=scaling[0], offset=scaling[1]),
        bounds={n: _bounds(r, path) for n, r in rows.items()},
        contrast_bounds=_bounds({"bounds": limits.get("contrast")}, path),
        offset_bounds=_bounds({"bounds": limits.get("offset")}, path),
        solver=SolverOptions(loss=cast(Loss, _one_of(get_args(Loss), tree, "loss", path))),
    )
    record = FitRecord(
        converged=ended.get("status") == "converged",
        message=str(ended.get("message", "")),
        iterations=int(number(ended.get("iterations"))),
        uncertainties={n: number(r.get("uncertainty")) for n, r in rows.items()},
        initial={n: number(r.get("initial")) for n, r in rows.items()},
        x_scale={n: number(v) for n, v in scale.items()},
        covariance=matrix,
        covariance_names=tuple(str(n) for n in _list(covariance, "names", path)),
        history=_history(convergence),
        noise=NoiseReport(n_speckles=_speckles(tree)),
        written_by="homodyne",
        directory=home,
    )
    return StoredRun(problem, dataset, Solution(values, contrast, offset), record)


def _speckles(tree: Tree) -> float:
    noise = tree.get("noise")
    found = number(noise.get("n_speckles")) if isinstance(noise, dict) else math.nan
    return found if math.isfinite(found) else math.inf


def _history(convergence: Tree) -> tuple[IterationRecord, ...]:
    steps = convergence.get("history")
    rows = [cast(Tree, s) for s in steps if isinstance(s, dict)] if isinstance(steps, list) else []
    return tuple(
        IterationRecord(
            iteration=int(number(row.get("iteration"))),
            column_norms={n: number(v) for n, v in _norms(row).items()},
            **{key: number(row.get(key)) for key in _STEP_FIGURES},
        )
        for row in rows
    )


def _norms(row: Tree) -> Tree:
    norms = row.get("column_norms")
    return cast(Tree, norms) if isinstance(norms, dict) else {}


def _bounds(row: Tree, path: Path) -> Bounds:
    ends = _list(row, "bounds", path)
    if len(ends) != 2:
        raise DataError(f"bounds are {ends}, not a pair", path=path)
    return Bounds(number(ends[0]), number(ends[1]))


def _list(tree: Tree, key: str, path: Path) -> list[object]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise DataError(f"has no {key!r} list", path=path)
    return value


def _one_of(accepted: tuple[str, ...], tree: Tree, key: str, path: Path) -> str:
    value = tree.get(key)
    if value not in accepted:
        raise DataError(f"{key} is {value!r}", path=path, hint=f"one of {', '.join(accepted)}")
    return str(value)


def _fitted_data(
    path: Path, memory: MemoryBudget | None, held: ExitStack
) -> tuple[Dataset, FloatArray, FloatArray]:
    try:
        with h5py.File(path, "r") as file:
            vectors = {
                key: np.asarray(file[key][...], dtype=float)
                for key in ("phi", "t", "sigma", "contrast", "offset")
            }
            sigma = vectors["sigma"]
            if "sigma_map" in file:
                sigma = np.asarray(file["sigma_map"][...], dtype=float)
                sigma[sigma == 0.0] = 1.0
            dataset = Dataset(
                c2=_maps(file["c2"], memory, held, per_pair="sigma_map" in file),
                phi=vectors["phi"],
                t=vectors["t"],
                q=float(file["q"][()]),
                gap=float(file["stator_rotor_gap"][()]) if "stator_rotor_gap" in file else None,
                dt=float(file["dt"][()]),
                sigma=sigma,
                provenance={"run": Provenance(str(path.parent), "run directory")},
            )
    except (OSError, KeyError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    return dataset, vectors["contrast"], vectors["offset"]


def _maps(
    stored: h5py.Dataset, memory: MemoryBudget | None, held: ExitStack, *, per_pair: bool
) -> MapArray | MapSource:
    if memory is None or memory.holds(stored.shape, stored.dtype):
        maps: MapArray = stored[...]
        return maps
    memory.check_streaming(stored.shape, stored.dtype, per_pair=per_pair)
    spool = held.enter_context(open_spool(memory.scratch, stored.shape, stored.dtype))
    for angle in range(len(stored)):
        spool.put(angle, stored[angle])
    return spool.maps()
