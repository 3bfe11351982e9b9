"""What a run directory says of its fit, from its small files alone: no map is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from homodyne_cli.assessments import Origin, SavedFit, StoredRun
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.curves import Curves
from homodyne_cli.dataset import FloatArray, Provenance
from homodyne_cli.errors import ConfigError, DataError
from homodyne_cli.findings.finding import Finding
from homodyne_cli.io.files.curves_file import CURVES, read_curves
from homodyne_cli.io.run.read_legacy_run import read_legacy_run
from homodyne_cli.io.run.read_run import check_angles, find_run, holds_own_maps
from homodyne_cli.io.run.run_folder import RunFolder
from homodyne_cli.io.run.schema import (
    AnalysisFile,
    ConvergenceFile,
    ManifestFile,
    ParametersFile,
    SearchEntry,
)
from homodyne_cli.io.yaml_text.load import load_mapping, read_document
from homodyne_cli.parameters import BY_NAME
from homodyne_cli.problem import Bounds
from homodyne_cli.results import (
    Combination,
    FitResult,
    FittedParameter,
    IterationRecord,
    ProfileInterval,
    Rival,
    SearchReport,
    Seconds,
)


def read_result(directory: Path, gap: float | None = None) -> SavedFit:
    """Read what a run directory says, of this program or of homodyne 2.x.

    Parameters
    ----------
    gap
        Gap in Å for a run that does not record it.

    Raises
    ------
    DataError
        If the directory is not a run, or a file in it is missing or damaged.
    """
    folder = find_run(directory)
    if not holds_own_maps(folder):
        return _of_legacy(read_legacy_run(folder, gap), directory)
    parameters = folder.read("parameters.json", ParametersFile)
    convergence = folder.read("convergence_metrics.json", ConvergenceFile)
    analysis = folder.read("analysis_results_nlsq.json", AnalysisFile)
    info = analysis.dataset_info
    check_angles(folder, parameters, info.n_angles)
    t = info.dt * np.arange(1.0, info.n_time_points + 1.0)
    result = _result(parameters, convergence, analysis, t)
    if folder.holds(CURVES):
        result = replace(result, curves=read_curves(folder.file(CURVES), result.curves))
    seconds = convergence.seconds
    return SavedFit(
        directory=directory,
        result=result,
        phi=np.array(info.phi_angles),
        q=np.full(info.n_angles, info.q_value) if info.q_value else np.array(info.q_values),
        repeat=np.array(info.repeats) - 1 if info.repeats else None,
        gap=info.stator_rotor_gap,
        dt=info.dt,
        provenance={n: Provenance(**dict(p)) for n, p in info.provenance.items()},
        notes=info.notes,
        findings=tuple(Finding(**dict(entry)) for entry in info.findings),
        origin=_origin(folder),
        config=_config(folder),
        seconds=None if seconds is None else Seconds(**dict(seconds)),
    )


def _origin(folder: RunFolder) -> Origin:
    if not folder.holds("manifest.json"):
        return Origin()
    manifest = folder.read("manifest.json", ManifestFile)
    return Origin(
        written_by=f"homodyne {manifest.versions.get('homodyne', '')}".rstrip(),
        device=manifest.device,
        created=manifest.created,
        command_line=manifest.command_line,
        inputs={entry.path: entry.sha256 for entry in manifest.inputs},
        linked={entry.path: entry.sha256 for entry in manifest.linked},
        folder=manifest.folder,
        versions=manifest.versions,
    )


def _config(folder: RunFolder) -> Mapping[str, object]:
    if not folder.holds("config.yaml"):
        return {}
    try:
        return load_mapping(read_document(folder.file("config.yaml")))
    except ConfigError as error:
        # Its message begins with the file: what is damaged is the run, not the user's config.
        raise DataError(str(error), hint=error.hint) from error


def _search(entry: SearchEntry) -> SearchReport:
    rivals = tuple(Rival(**dict(rival)) for rival in entry.rivals)
    beyond = None if entry.beyond is None else Rival(**dict(entry.beyond))
    return SearchReport(**dict(entry) | {"rivals": rivals, "beyond": beyond})


def _result(
    parameters: ParametersFile, convergence: ConvergenceFile, analysis: AnalysisFile, t: FloatArray
) -> FitResult:
    rows, quality, ended = (
        parameters.parameters, analysis.fit_quality, analysis.optimization_summary
    )  # fmt: skip
    names = parameters.covariance.names
    covariance = np.array(parameters.covariance.matrix, dtype=float).reshape(2 * [len(names)])
    search = convergence.search
    values = np.array([row.value for row in rows.values()])
    return FitResult(
        mode=parameters.analysis_mode,
        convention=parameters.convention,
        per_angle_mode=parameters.per_angle_mode,
        parameters=tuple(
            FittedParameter(
                name=name,
                bounds=Bounds(*row.bounds),
                unmoved=not row.moved,
                **row.model_dump(exclude={"bounds", "moved"}),
            )
            for name, row in rows.items()
        ),
        **_scaling(parameters, analysis.dataset_info.n_angles),
        chi2=quality.chi_squared,
        reduced_chi2=quality.reduced_chi_squared,
        n_points=analysis.dataset_info.total_data_points,
        degrees_of_freedom=quality.degrees_of_freedom,
        edm=quality.edm,
        status=ended.status,
        message=ended.message,
        converged=ended.success,
        iterations=ended.iterations,
        evaluations=ended.evaluations,
        covariance=covariance,
        covariance_names=names,
        curves=curves_with_bands(t, values, parameters.convention, covariance, names),
        undetermined=parameters.undetermined,
        x_scale=convergence.x_scale.values,
        x_scale_mode=convergence.x_scale.mode,
        history=tuple(IterationRecord(**dict(step)) for step in convergence.history),
        loss=parameters.loss,
        search=None if search is None else _search(search),
        noise=parameters.noise_report,
        plain_chi2=quality.plain_chi_squared,
        profiles=tuple(ProfileInterval(**dict(entry)) for entry in parameters.profiles),
        combinations=tuple(Combination(**dict(entry)) for entry in parameters.combinations),
        equivalents=parameters.equivalents,
        agreements=tuple(entry.agreement for entry in analysis.agreements),
    )


_PER_ANGLE = ("contrast", "offset", "contrast_uncertainty", "offset_uncertainty", "sigma")


def _scaling(parameters: ParametersFile, n_phi: int) -> dict[str, FloatArray]:
    """Return the columns of the scaling, NaN where a run does not say."""
    rows = parameters.scaling
    return {
        name: np.array([getattr(row, name) for row in rows]) if rows else np.full(n_phi, np.nan)
        for name in _PER_ANGLE
    }


def _of_legacy(run: StoredRun, directory: Path) -> SavedFit:
    """Return what a run of homodyne 2.x says; its chi2 cannot be compared and is left out."""
    record, problem, data = run.record, run.problem, run.dataset
    errors = {n: record.uncertainties.get(n, math.nan) for n in run.solution.values}
    known = {n: e for n, e in errors.items() if math.isfinite(e)}
    names, unknown = tuple(known), np.full(data.n_phi, np.nan)
    covariance = np.diag([e**2 for e in known.values()])
    parameters = tuple(
        FittedParameter(n, value, errors[n], BY_NAME[n].unit, math.nan, problem.bounds[n],
                        at_bound=False, fixed=False, unmoved=False)
        for n, value in run.solution.values.items()
    )  # fmt: skip
    curves: Curves = curves_with_bands(
        data.t, run.solution.vector, problem.convention, covariance, names
    )
    result = FitResult(
        mode=problem.mode, convention=problem.convention, per_angle_mode=problem.per_angle_mode,
        parameters=parameters, contrast=run.solution.contrast, offset=run.solution.offset,
        contrast_uncertainty=unknown, offset_uncertainty=unknown, sigma=unknown,
        chi2=math.nan, reduced_chi2=math.nan, edm=math.nan,
        n_points=data.n_phi * data.n_frames * (data.n_frames - 1) // 2, degrees_of_freedom=0,
        status=0, message=record.message, converged=record.converged,
        iterations=record.iterations or 0, evaluations=0, covariance=covariance,
        covariance_names=names, curves=curves, undetermined=(), x_scale={}, x_scale_mode="auto",
        history=(),
    )  # fmt: skip
    notes = (*record.notes, "uncertainties taken as independent: it records no covariance")
    return SavedFit(
        directory, result, data.phi, data.q, data.gap, data.dt, data.provenance, notes=notes,
        origin=Origin(written_by=record.written_by),
    )  # fmt: skip
