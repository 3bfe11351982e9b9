"""Writing the files of a run but maps and pictures.

Names follow homodyne 2.x, so that its readers keep working.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.run.fields import SCHEMA_VERSION
from homodyne_cli.io.run.schema import RUN_FILES
from homodyne_cli.problem import Config, FitProblem
from homodyne_cli.results import FitResult, Seconds

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class RunRecord:
    """What a run directory tells beside the numbers.

    Attributes
    ----------
    command_line, versions, device
        How the run was made.
    config_text
        The resolved configuration as YAML.
    inputs, linked
        Files read, and those that links in these lead to; their SHA-256 goes into the manifest.
    """

    command_line: tuple[str, ...]
    versions: Mapping[str, str]
    device: str
    config_text: str
    inputs: tuple[Path, ...]
    linked: tuple[Path, ...] = ()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_run(
    directory: Path,
    config: Config,
    dataset: Dataset,
    result: FitResult,
    seconds: Seconds,
    record: RunRecord,
) -> None:
    """Write every file of a run but maps and pictures into an existing (staging) directory."""
    common = {
        "schema_version": SCHEMA_VERSION,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "analysis_mode": result.mode,
        "convention": result.convention,
    }
    files = {
        "parameters.json": _parameters(result, dataset, config.problem),
        "convergence_metrics.json": _convergence(result, seconds, record),
        "analysis_results_nlsq.json": _analysis(result, dataset, seconds),
        MANIFEST: _manifest(config, record),
    }
    for name, content in files.items():
        entry = RUN_FILES[name].model_validate({**common, **content})
        (directory / name).write_text(to_json(entry) + "\n", encoding="utf-8")
    (directory / "config.yaml").write_text(record.config_text, encoding="utf-8")
    if config.path is not None:
        shutil.copyfile(config.path, directory / "config_original.yaml")


def _parameters(result: FitResult, dataset: Dataset, problem: FitProblem) -> dict[str, object]:
    columns: dict[str, FloatArray | IndexArray] = {
        "phi": dataset.phi,
        "contrast": result.contrast,
        "contrast_uncertainty": result.contrast_uncertainty,
        "offset": result.offset,
        "offset_uncertainty": result.offset_uncertainty,
        "sigma": result.sigma,
    }
    if len(dataset.rows.rings) > 1:
        columns["q"] = dataset.q
    if dataset.repeat is not None:
        columns["repeat"] = dataset.repeat + 1
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    repeats = {"per_repeat_mode": problem.per_repeat_mode} if dataset.repeat is not None else {}
    return {
        "per_angle_mode": result.per_angle_mode,
        **repeats,
        "loss": result.loss,
        "noise": result.noise,
        "profiles": result.profiles,
        "fourier_order": problem.fourier_order,
        "chi_squared": result.chi2,
        "reduced_chi_squared": result.reduced_chi2,
        "parameters": {p.name: p for p in result.parameters},
        "scaling_bounds": {"contrast": problem.contrast_bounds, "offset": problem.offset_bounds},
        "scaling": [dict(zip(columns, row, strict=True)) for row in rows],
        "covariance": {"names": result.covariance_names, "matrix": result.covariance.tolist()},
        "undetermined": result.undetermined,
        "combinations": result.combinations,
        "equivalents": result.equivalents,
    }


def _ending(result: FitResult, seconds: Seconds) -> dict[str, object]:
    return {
        "message": result.message,
        "iterations": result.iterations,
        "evaluations": result.evaluations,
        "execution_time": seconds.fit,
    }


def _verdict(result: FitResult) -> str:
    if result.interrupted:
        return "interrupted"
    return "converged" if result.converged else "not_converged"


def _analysis(result: FitResult, dataset: Dataset, seconds: Seconds) -> dict[str, object]:
    one_ring = len(dataset.rows.rings) == 1
    several: dict[str, object] = {} if one_ring else {"q_values": dataset.q.tolist()}
    if dataset.repeat is not None:
        several["repeats"] = (dataset.repeat + 1).tolist()
    return {
        "method": "nlsq",
        "fit_quality": {
            "chi_squared": result.chi2,
            "plain_chi_squared": result.plain_chi2,
            "reduced_chi_squared": result.reduced_chi2,
            "degrees_of_freedom": result.degrees_of_freedom,
            "edm": result.edm,
            "loss": result.loss,
            "convergence_status": _verdict(result),
        },
        "dataset_info": {
            "n_angles": dataset.n_phi,
            "n_time_points": dataset.n_frames,
            "total_data_points": result.n_points,
            "masked_pairs": dataset.n_masked,
            "q_value": dataset.q[0] if one_ring else None,
            **several,
            "dt": dataset.dt,
            "stator_rotor_gap": dataset.gap,
            "phi_angles": dataset.phi.tolist(),
            "provenance": dataset.provenance,
            "notes": dataset.notes,
            "findings": dataset.findings or (),
        },
        "optimization_summary": {
            "success": result.converged,
            "status": result.status,
            **_ending(result, seconds),
        },
        **({"agreements": result.agreements} if result.agreements else {}),
    }


def _convergence(result: FitResult, seconds: Seconds, record: RunRecord) -> dict[str, object]:
    return {
        "convergence": {
            "status": _verdict(result),
            "final_chi_squared": result.chi2,
            "edm": result.edm,
            **_ending(result, seconds),
        },
        "x_scale": {
            "mode": result.x_scale_mode,
            "values": result.x_scale,
            "condition_number": result.conditioning,
        },
        "search": result.search,
        "history": result.history,
        "seconds": seconds,
        "device_info": {"device": record.device},
    }


def _manifest(config: Config, record: RunRecord) -> dict[str, object]:
    return {
        "written_by": "homodyne",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": record.versions,
        "device": record.device,
        "command_line": record.command_line,
        "seed": config.problem.solver.seed,
        "folder": _working_directory(),
        "inputs": list(map(_input, record.inputs)),
        "linked": list(map(_input, record.linked)),
    }


def _working_directory() -> str:
    """Return where the command was given; empty if that is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _input(path: Path) -> dict[str, object]:
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
