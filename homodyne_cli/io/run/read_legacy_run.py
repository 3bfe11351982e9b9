"""Reading a run directory of homodyne 2.x.

Its ``parameters.json`` holds angle means of contrast and offset; the values per angle are in the
npz. It records no gap, no convention and no covariance, and its chi2 is not comparable.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from homodyne_cli.assessments import StoredRun
from homodyne_cli.dataset import Dataset, FloatArray, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.npz_access import NpzFile, open_npz
from homodyne_cli.io.run.arrays import LEGACY_DATA, ArrayChecker
from homodyne_cli.io.run.fields import LARGEST, Number, Text
from homodyne_cli.io.run.run_folder import RunFolder
from homodyne_cli.parameters import (
    DEFAULT_GAP,
    PARAMETERS,
    AnalysisMode,
    canonical_name,
    names_of,
)
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters
from homodyne_cli.results import FitRecord, Solution


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and abs(value) <= LARGEST:
        return float(value)
    return None


class _Entry(BaseModel):
    """An object of a file: homodyne 2.x writes more than is read here."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Row(_Entry):
    """A parameter; an uncertainty that is no number counts as not recorded."""

    value: Number
    uncertainty: Annotated[float | None, BeforeValidator(_number)] = None


class _Parameters(_Entry):
    """``parameters.json``; rows that are no parameter of the model are passed over."""

    parameters: dict[str, _Row]

    @field_validator("parameters", mode="before")
    @classmethod
    def _of_the_model(cls, rows: object) -> object:
        if not isinstance(rows, dict):
            return rows
        return {name: row for key, row in rows.items() if (name := canonical_name(str(key)))}

    @field_validator("parameters")
    @classmethod
    def _in_order(cls, rows: dict[str, _Row]) -> dict[str, _Row]:
        names = names_of(_mode_of(rows))
        lacking = [n for n in names if n not in rows]
        if lacking:
            raise PydanticCustomError("names", f"lacks {', '.join(lacking)}")
        return {n: rows[n] for n in names}


class _Convergence(_Entry):
    """``convergence_metrics.json``, flat or below ``convergence``."""

    status: Text = "unknown"
    iterations: Annotated[float | None, BeforeValidator(_number)] = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, tree: object) -> object:
        if not isinstance(tree, dict):
            return tree
        nested = tree.get("convergence")
        row = nested if isinstance(nested, dict) else tree
        status = row.get("status", row.get("convergence_status", "unknown"))
        return {"status": status, "iterations": row.get("iterations")}


def _mode_of(names: dict[str, _Row]) -> AnalysisMode:
    return "laminar_flow" if "gamma_dot_t0" in names else "static"


def read_legacy_run(folder: RunFolder, gap: float | None) -> StoredRun:
    """Read parameters, data and scaling of a homodyne 2.x run; `gap` in Å if known."""
    rows = folder.read("parameters.json", _Parameters).parameters
    mode = _mode_of(rows)
    notes = ["written by homodyne 2.x: read in the homodyne-2 convention"]
    if gap is None and mode == "laminar_flow":
        gap = DEFAULT_GAP
        notes.append(f"no stator_rotor_gap recorded: {gap:g} Å assumed (--config names another)")
    dataset, scaling = _arrays(folder.file("fitted_data.npz"), gap)
    ended = _Convergence(status="no convergence_metrics.json")
    if folder.holds("convergence_metrics.json"):
        ended = folder.read("convergence_metrics.json", _Convergence)
    bounds = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    return StoredRun(
        FitProblem(mode, "homodyne-2", "individual", 0, InitialParameters(), bounds),
        dataset,
        Solution({n: r.value for n, r in rows.items()}, scaling[:, 0], scaling[:, 1]),
        FitRecord(
            converged=ended.status in ("converged", "success"),
            message=ended.status,
            iterations=None if ended.iterations is None else int(ended.iterations),
            uncertainties={n: r.uncertainty for n, r in rows.items() if r.uncertainty is not None},
            written_by="homodyne 2.x",
            directory=folder.home,
            notes=tuple(notes),
        ),
    )


def _arrays(path: Path, gap: float | None) -> tuple[Dataset, FloatArray]:
    if not zipfile.is_zipfile(path):
        raise DataError("cannot be read: no npz archive", path=path)
    with open_npz(path) as file:
        checker = ArrayChecker(path)
        phi = np.atleast_1d(_array(file, checker, "phi_angles"))
        t = _array(file, checker, "t1")
        if t.ndim == 2:
            t = t[:, 0] if np.ptp(t[0]) == 0.0 else t[0]
        checker.check_times("t1", t)
        c2 = _array(file, checker, "c2_exp")
        for angle, one in enumerate(c2):
            checker.check_map("c2_exp", angle, one)
        solver = "per_angle_scaling_solver"
        name = solver if solver in file.names else "per_angle_scaling"
        scaling = _array(file, checker, name)
        q = np.full(len(phi), _array(file, checker, "q").ravel()[0])
    source = {"run": Provenance(str(path.parent), "run directory of homodyne 2.x")}
    return Dataset(c2, phi, t, q, gap, float(t[1] - t[0]), None, source), scaling


def _array(file: NpzFile, checker: ArrayChecker, name: str) -> FloatArray:
    if name not in file.names:
        raise checker.error(name, "missing")
    stack, entry = file.stack(name), LEGACY_DATA[name]
    # A single angle may be a scalar, times a mesh of t1 over t2, and q a list of one.
    shape = stack.shape
    if name == "phi_angles":
        shape = shape or (1,)
    elif name == "t1" and len(shape) == 2:
        shape = shape[:1]
    elif name == "q" and math.prod(shape) == 1:
        shape = ()
    checker.check_layout(name, entry, shape, stack.dtype)
    return checker.check_values(name, entry, np.asarray(stack.whole, dtype=float))
