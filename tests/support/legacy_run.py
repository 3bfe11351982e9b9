"""Writes a run directory as homodyne 2.x does: its file names, keys and arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES
from tests.support.oracle import model_values


def write_legacy_run(
    folder: Path, dataset: Dataset, values: FloatArray, contrast: FloatArray, offset: FloatArray
) -> Path:
    home = folder / "nlsq"
    home.mkdir(parents=True)
    names = NAMES[: len(values)]
    rows = {n: {"value": float(v), "uncertainty": 0.1} for n, v in zip(names, values, strict=True)}
    rows["contrast"] = {"value": float(contrast.mean()), "uncertainty": 0.01}
    rows["offset"] = {"value": float(offset.mean()), "uncertainty": 0.01}
    mode = "laminar_flow" if len(values) == 7 else "static_isotropic"
    files: dict[str, dict[str, object]] = {
        "parameters.json": {"analysis_mode": mode, "parameters": rows},
        "analysis_results_nlsq.json": {"method": "nlsq", "fit_quality": {"chi_squared": 1.0}},
        "convergence_metrics.json": {"convergence": {"status": "converged", "iterations": 42}},
    }
    for name, content in files.items():
        (home / name).write_text(json.dumps(content))
    f = model_values(values, dataset.t, dataset.phi, dataset.q, dataset.gap or 0.0, "homodyne-2")
    fitted = contrast[:, None, None] * f + offset[:, None, None]
    c2 = np.asarray(dataset.c2, dtype=float)
    full = np.triu(np.ones(c2.shape[1:]), 1)
    symmetric = c2 * full + (c2 * full).swapaxes(1, 2)
    np.savez(
        home / "fitted_data.npz",
        c2_exp=symmetric,
        c2_theoretical_raw=f,
        c2_theoretical_scaled=fitted,
        c2_solver_scaled=fitted,
        residuals=symmetric - fitted,
        residuals_normalized=(symmetric - fitted) / 0.01,
        phi_angles=dataset.phi,
        per_angle_scaling=np.stack([contrast, offset], axis=1),
        per_angle_scaling_solver=np.stack([contrast, offset], axis=1),
        t1=dataset.t,
        t2=dataset.t,
        q=dataset.q[:1],
    )
    return folder
