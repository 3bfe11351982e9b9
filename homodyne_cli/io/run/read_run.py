"""Reading a run directory back: this program's own, or one of homodyne 2.x."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from homodyne_cli.assessments import StoredRun
from homodyne_cli.dataset import Dataset, Provenance
from homodyne_cli.errors import DataError, resembling
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.io.files.printable import printable
from homodyne_cli.io.files.staging import clear_leftovers
from homodyne_cli.io.files.suffixes import CONFIG_SUFFIXES
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.run.read_fitted_data import read_fitted_data, trial_of_fitted_data
from homodyne_cli.io.run.read_legacy_run import read_legacy_run
from homodyne_cli.io.run.run_folder import RunFolder
from homodyne_cli.io.run.schema import AnalysisFile, ConvergenceFile, ManifestFile, ParametersFile
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters, SolverOptions
from homodyne_cli.results import FitRecord, IterationRecord, Solution

_MAPS = "fitted_data.h5"
_LEGACY_MAPS = "fitted_data.npz"
#: Trials under way at once: a run and its baseline.
_TRIALS = 2


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
    folder = find_run(directory)
    with ExitStack() as held:
        if folder.holds(_MAPS):
            yield _read(folder, memory, held)
        else:
            yield read_legacy_run(folder, gap)


@contextmanager
def trial_of_runs(*directories: Path) -> Iterator[Callable[[], None]]:
    """Start the trials of the maps of runs and yield the function that waits for them.

    That raises a `DataError` if maps cannot be opened without harm to the process, which the
    numerical libraries may be imported before (`io.maps.trial`).

    Raises
    ------
    DataError
        If a directory is not a run.
    """
    runs = [folder for folder in map(find_run, directories) if holds_own_maps(folder)]
    files = [folder.file(_MAPS) for folder in runs]
    with ExitStack() as held:
        begun = [held.enter_context(trial_of_fitted_data(path)) for path in files[:_TRIALS]]

        def wait() -> None:
            for wait_for_one in begun:
                wait_for_one()
            for path in files[_TRIALS:]:
                with trial_of_fitted_data(path) as wait_for_one:
                    wait_for_one()

        yield wait


def records_gap(directory: Path) -> bool:
    """Return whether a run directory says which gap it was fitted with, as this program's do."""
    return holds_own_maps(find_run(directory))


def holds_own_maps(folder: RunFolder) -> bool:
    """Return whether a run is of this program, not of homodyne 2.x."""
    return folder.holds(_MAPS)


def find_run(directory: Path) -> RunFolder:
    """Return where the files of a run are.

    Raises
    ------
    DataError
        If the directory is not a run.
    """
    try:
        if not directory.exists():
            # A process that was replacing it may have been killed between two renames.
            clear_leftovers(directory.absolute().parent)
        names = sorted(p.name for p in directory.iterdir())[:8]
        for home in (directory, directory / "nlsq"):
            folder = RunFolder(directory, home)
            if folder.holds(_MAPS) or folder.holds(_LEGACY_MAPS):
                return folder
    except NotADirectoryError as error:
        command = "fit" if directory.suffix in CONFIG_SUFFIXES else "inspect"
        raise DataError(
            "a file, not a run directory",
            path=directory,
            hint=f"homodyne {command} {directory}",
            code=Code.WRONG_KIND,
        ) from error
    except FileNotFoundError as error:
        raise DataError(
            "no such run directory",
            path=directory,
            hint=resembling(directory, "name a folder that fit wrote"),
            code=Code.NO_FILE,
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=directory) from error
    raise DataError(
        f"not a run directory: it holds {printable(', '.join(names)) or 'nothing'}",
        path=directory,
        hint=_run_inside(directory, names)
        or "a run holds parameters.json and fitted_data.h5 (homodyne 2.x: fitted_data.npz)",
    )


def _run_inside(directory: Path, names: Sequence[str]) -> str:
    """Return a hint at a run in a folder, like that of a batch; empty if there is none."""
    runs = [directory / name for name in names]
    inside = [run for run in runs if holds_own_maps(RunFolder(run, run))]
    return f"name a run in it: {inside[0]}" if inside else ""


def config_of_run(directory: Path) -> Path | None:
    """Return the user's config that a run was made from; None where it is not known or gone.

    It is relative where it lies below the working directory.
    """
    folder = find_run(directory)
    if not folder.holds("manifest.json"):
        return None
    manifest = folder.read("manifest.json", ManifestFile)
    path = Path(manifest.folder, *(entry.path for entry in manifest.inputs[:1]))
    if path.suffix not in CONFIG_SUFFIXES or not path.is_file():
        return None
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def check_angles(folder: RunFolder, parameters: ParametersFile, n_phi: int) -> None:
    """Refuse parameters that belong to another number of angles.

    Raises
    ------
    DataError
        They have other scaling factors, or a Fourier series of more terms.
    """
    order, rows, said = parameters.fourier_order, parameters.scaling, ""
    if rows and len(rows) != n_phi:
        said = f"scaling has {len(rows)} rows for {n_phi} angles"
    if parameters.per_angle_mode == "fourier" and 2 * order + 1 > n_phi:
        said = f"fourier_order is {order}, more than {n_phi} angles determine"
    if said:
        raise DataError(said, path=folder.file("parameters.json"))


def _read(folder: RunFolder, memory: MemoryBudget | None, held: ExitStack) -> StoredRun:
    parameters = folder.read("parameters.json", ParametersFile)
    convergence = folder.read("convergence_metrics.json", ConvergenceFile)
    maps = read_fitted_data(folder.file(_MAPS), memory, held)
    check_angles(folder, parameters, maps.dataset.n_phi)
    if maps.dataset.gap is None and parameters.analysis_mode == "laminar_flow":
        raise DataError(
            "missing, and laminar_flow needs it",
            path=folder.file(_MAPS),
            dataset="stator_rotor_gap",
        )
    rows = parameters.parameters
    solution = Solution({n: r.value for n, r in rows.items()}, maps.contrast, maps.offset)
    limits = parameters.scaling_bounds
    problem = FitProblem(
        mode=parameters.analysis_mode,
        convention=parameters.convention,
        per_angle_mode=parameters.per_angle_mode,
        per_repeat_mode=parameters.per_repeat_mode,
        fourier_order=parameters.fourier_order,
        initial=InitialParameters(
            fixed={n: r.value for n, r in rows.items() if r.fixed},
            contrast=tuple(maps.contrast.tolist()),
            offset=tuple(maps.offset.tolist()),
        ),
        bounds={n: Bounds(*r.bounds) for n, r in rows.items()},
        contrast_bounds=Bounds(*limits.contrast),
        offset_bounds=Bounds(*limits.offset),
        solver=SolverOptions(loss=parameters.loss),
    )
    dataset = _described(folder, maps.dataset)
    return StoredRun(problem, dataset, solution, _record(folder, parameters, convergence))


def _record(
    folder: RunFolder, parameters: ParametersFile, convergence: ConvergenceFile
) -> FitRecord:
    rows, ended = parameters.parameters, convergence.convergence
    covariance = parameters.covariance
    version = ""
    if folder.holds("manifest.json"):
        version = folder.read("manifest.json", ManifestFile).versions.get("homodyne", "")
    return FitRecord(
        converged=ended.status == "converged",
        message=ended.message,
        iterations=ended.iterations,
        uncertainties={n: r.uncertainty for n, r in rows.items()},
        initial={n: r.initial for n, r in rows.items()},
        x_scale=convergence.x_scale.values,
        covariance=np.array(covariance.matrix, dtype=float).reshape(2 * [len(covariance.names)]),
        covariance_names=covariance.names,
        history=tuple(IterationRecord(**dict(step)) for step in convergence.history),
        noise=parameters.noise_report,
        written_by=f"homodyne {version}".rstrip(),
        directory=folder.home,
    )


def _described(folder: RunFolder, dataset: Dataset) -> Dataset:
    """Add what the run knows of where its data came from."""
    if not folder.holds("analysis_results_nlsq.json"):
        return dataset
    info = folder.read("analysis_results_nlsq.json", AnalysisFile).dataset_info
    sources = {name: Provenance(**dict(entry)) for name, entry in info.provenance.items()}
    return replace(
        dataset,
        provenance={**dataset.provenance, **sources},
        n_masked=info.masked_pairs,
        notes=info.notes,
        findings=tuple(Finding(**dict(entry)) for entry in info.findings),
    )
