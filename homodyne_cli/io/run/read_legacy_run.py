"""Reading a run directory of homodyne 2.x.

Its ``parameters.json`` holds angle means of contrast and offset; the values per angle are in the
npz. It records no gap, no convention and no covariance, and its chi2 is not comparable.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from homodyne_cli.assessments import StoredRun
from homodyne_cli.dataset import Dataset, FloatArray, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.files.json_text import read_json_object
from homodyne_cli.parameters import DEFAULT_GAP, PARAMETERS, AnalysisMode, canonical_name, names_of
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters
from homodyne_cli.results import FitRecord, Solution


def read_legacy_run(home: Path, gap: float | None) -> StoredRun:
    """Read parameters, data and scaling of a homodyne 2.x run; `gap` in Å if known."""
    values, uncertainties = _parameters(home / "parameters.json")
    mode: AnalysisMode = "laminar_flow" if "gamma_dot_t0" in values else "static"
    notes = ["written by homodyne 2.x: read in the homodyne-2 convention"]
    if gap is None and mode == "laminar_flow":
        gap = DEFAULT_GAP
        notes.append(f"no stator_rotor_gap recorded: {gap:g} Å assumed (--config names another)")
    dataset, scaling = _arrays(home / "fitted_data.npz", gap)
    converged, message, iterations = _ending(home / "convergence_metrics.json")
    bounds = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    return StoredRun(
        FitProblem(mode, "homodyne-2", "individual", 0, InitialParameters(), bounds),
        dataset,
        Solution(values, scaling[:, 0], scaling[:, 1]),
        FitRecord(
            converged=converged,
            message=message,
            iterations=iterations,
            uncertainties=uncertainties,
            written_by="homodyne 2.x",
            directory=home,
            notes=tuple(notes),
        ),
    )


def _parameters(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    rows = read_json_object(path).get("parameters")
    if not isinstance(rows, dict):
        raise DataError("has no 'parameters' object", path=path)
    values: dict[str, float] = {}
    uncertainties: dict[str, float] = {}
    for key, row in rows.items():
        name = canonical_name(str(key))
        if name is None or not isinstance(row, dict):
            continue
        if not isinstance(row.get("value"), (int, float)):
            raise DataError(f"parameters.{key} has no value", path=path)
        values[name] = float(row["value"])
        if isinstance(row.get("uncertainty"), (int, float)):
            uncertainties[name] = float(row["uncertainty"])
    mode: AnalysisMode = "laminar_flow" if "gamma_dot_t0" in values else "static"
    missing = [n for n in names_of(mode) if n not in values]
    if missing:
        raise DataError(f"lacks {', '.join(missing)}", path=path)
    return {n: values[n] for n in names_of(mode)}, uncertainties


def _arrays(path: Path, gap: float | None) -> tuple[Dataset, FloatArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            c2 = np.array(archive["c2_exp"], dtype=float)
            phi = np.atleast_1d(np.array(archive["phi_angles"], dtype=float))
            t = np.array(archive["t1"], dtype=float)
            q = float(np.ravel(archive["q"])[0])
            key = "per_angle_scaling_solver"
            scaling = np.array(archive[key if key in archive else "per_angle_scaling"], dtype=float)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    if t.ndim == 2:
        t = t[:, 0] if np.ptp(t[0]) == 0.0 else t[0]
    if c2.shape != (len(phi), len(t), len(t)) or scaling.shape != (len(phi), 2):
        raise DataError(
            f"c2_exp {c2.shape}, phi_angles {phi.shape}, t1 {t.shape} and scaling "
            f"{scaling.shape} do not fit together",
            path=path,
        )
    source = {"run": Provenance(str(path.parent), "run directory of homodyne 2.x")}
    dt = float(t[1] - t[0])
    return Dataset(c2, phi, t, q, gap, dt, None, source), scaling


def _ending(path: Path) -> tuple[bool, str, int | None]:
    if not path.is_file():
        return False, "no convergence_metrics.json", None
    tree = read_json_object(path)
    nested = tree.get("convergence")
    row = nested if isinstance(nested, dict) else tree
    status = str(row.get("status", row.get("convergence_status", "unknown")))
    count = row.get("iterations")
    return (
        status in ("converged", "success"),
        status,
        int(count) if isinstance(count, (int, float)) else None,
    )
