"""``homodyne fit``: config and data file -> run directory and tables."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from homodyne_cli.cli.requests import FitRequest
from homodyne_cli.cli.version import versions
from homodyne_cli.core.fit import fit
from homodyne_cli.core.model.pair_model import ModelMaps, model_maps
from homodyne_cli.core.numerics.backend import compile_clock, describe_device, keep_compiled
from homodyne_cli.core.uncertainty.profile_likelihood import profile
from homodyne_cli.dataset import Dataset, FloatArray, Provenance
from homodyne_cli.errors import ConfigError, OutputError
from homodyne_cli.io.config.load import dump_yaml, load_config
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
from homodyne_cli.io.maps.read_data import open_dataset
from homodyne_cli.io.run.fitted_data import write_fitted_data
from homodyne_cli.io.run.write_run import (
    RunRecord,
    check_output,
    existing_parent,
    staged_directory,
    write_run,
)
from homodyne_cli.problem import Config
from homodyne_cli.render.console import make_console, print_plain
from homodyne_cli.render.progress import FitProgress
from homodyne_cli.render.tables import (
    combination_table,
    fit_summary,
    parameter_table,
    profile_table,
    provenance_table,
    scaling_table,
)
from homodyne_cli.results import FitResult, Seconds

DEFAULT_OUTPUT = "homodyne_results"
NOT_CONVERGED = 1


def run_fit(request: FitRequest) -> int:
    """Fit, write the run directory, show the result; return the exit code."""
    started = time.perf_counter()
    config = load_config(request.config, _overrides(request))
    truth = None if request.truth is None else _truth(request.truth)
    target = request.output or config.output_directory or Path(DEFAULT_OUTPUT)
    check_output(target, force=request.force)
    if request.compile_cache is not None:
        keep_compiled(str(_private_folder(request.compile_cache)))
    notes = make_console(stderr=True)
    if not request.quiet:
        _tell_unused(notes, config, request.verbose)
    with compile_clock() as compiled, ExitStack() as held:
        with FitProgress(notes, enabled=not request.quiet) as progress:
            memory = _memory(request, target)
            dataset = held.enter_context(
                open_dataset(config.selection, config.problem.mode, progress.on_load, memory)
            )
            loaded = time.perf_counter()
            result = _fit(request, config, dataset, progress)
        fitted_at = time.perf_counter()
        compile_seconds = compiled()
        dataset = _with_sigma(dataset, result)
        with staged_directory(target, force=request.force) as staging:
            _save_maps(staging, dataset, result, plots=not request.no_plots)
            saved = time.perf_counter()
            seconds = Seconds(
                load=loaded - started,
                compile=compile_seconds,
                fit=fitted_at - loaded - compile_seconds,
                save=saved - fitted_at,
                total=saved - started,
            )
            write_run(staging, config, dataset, result, seconds, _record(request, config))
    seconds = _final(seconds, fitted_at, started)
    if request.as_json:
        sys.stdout.write(to_json(_summary(target, dataset, result, seconds)) + "\n")
    else:
        _show(target, dataset, result, seconds, truth, plots=not request.no_plots)
    return 0 if result.converged else NOT_CONVERGED


def _memory(request: FitRequest, target: Path) -> MemoryBudget:
    return MemoryBudget(budget_of(request.memory), existing_parent(target))


def _fit(request: FitRequest, config: Config, dataset: Dataset, progress: FitProgress) -> FitResult:
    result = fit(dataset, config.problem, progress.on_iteration)
    if not request.profile:
        return result
    names = tuple(name.strip() for name in request.profile.split(","))
    return replace(result, profiles=profile(dataset, config.problem, result, names))


def _save_maps(staging: Path, dataset: Dataset, result: FitResult, *, plots: bool) -> None:
    """Write the maps and draw them side by side."""
    values, scaling = result.values, (result.contrast, result.offset)
    fitted = model_maps(dataset, values, *scaling, result.convention)
    with ThreadPoolExecutor(max_workers=1) as beside:
        drawn = beside.submit(_draw, staging, dataset, fitted, result.sigma) if plots else None
        write_fitted_data(staging / "fitted_data.h5", dataset, result, fitted)
        if drawn is not None:
            drawn.result()


def _draw(staging: Path, dataset: Dataset, fitted: ModelMaps, sigma: FloatArray) -> None:
    # Half of what there is to import, for pictures alone.
    from homodyne_cli.render.heatmaps import drawn_frames, save_heatmaps

    frames = drawn_frames(dataset.n_frames)
    maps = dataset.selected(frames), fitted.selected(frames)
    save_heatmaps(staging, dataset.phi, dataset.t[frames], *maps, sigma)


def _final(seconds: Seconds, fitted_at: float, started: float) -> Seconds:
    now = time.perf_counter()
    return Seconds(seconds.load, seconds.compile, seconds.fit, now - fitted_at, now - started)


def _truth(path: Path) -> Mapping[str, float]:
    values = load_config(path).problem.initial.values
    if values is None:
        raise ConfigError(f"{path}: has no initial_parameters.values to show as the truth")
    return values


def _with_sigma(dataset: Dataset, result: FitResult) -> Dataset:
    """Note in the provenance where the noise came from if the fit estimated it."""
    if dataset.sigma is not None:
        return dataset
    estimate = result.sigma
    low, high = float(estimate.min()), float(estimate.max())
    text = f"{low:.3g}" if high - low < 0.005 * high else f"{low:.3g} to {high:.3g}"
    how = "estimated from neighbouring pairs at equal lag"
    if result.noise.shared_out:
        how += ", then shared out by how much each angle's noise repeats itself"
    source = Provenance(text, how)
    return replace(dataset, provenance={**dataset.provenance, "sigma": source})


def _private_folder(path: Path) -> Path:
    """Return a folder for compiled code that nobody else can write to, made if need be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {error.strerror}") from error
    if mode & 0o022:
        raise OutputError(
            f"{path}: others can write to it, and with it into what fits execute",
            hint=f"chmod go-w {path}, or choose another folder",
        )
    return path.absolute()


def _overrides(request: FitRequest) -> tuple[str, ...]:
    """Return the config keys that options set; they win over ``--set``."""
    overrides = tuple(request.override or ())
    if request.data is not None:
        # A JSON string is YAML whatever characters the path has.
        place = json.dumps(str(request.data.absolute()))
        overrides = (*overrides, f"experimental_data.file_path={place}")
    if request.x_scale is not None:
        overrides = (*overrides, f"optimization.nlsq.x_scale={request.x_scale}")
    if request.global_search is not None:
        switch = "true" if request.global_search else "false"
        overrides = (*overrides, f"optimization.nlsq.global_search={switch}")
    return overrides


def _record(request: FitRequest, config: Config) -> RunRecord:
    return RunRecord(
        command_line=tuple(sys.argv),
        versions=versions(),
        device=describe_device(),
        config_text=dump_yaml(config.resolved),
        inputs=(request.config, config.selection.path),
    )


def _tell_unused(notes: Console, config: Config, verbose: bool) -> None:
    if not config.unused_keys:
        return
    count = len(config.unused_keys)
    listed = ":\n  " + "\n  ".join(config.unused_keys) if verbose else " (-v lists them)"
    print_plain(notes, f"{count} homodyne 2.x keys of the config have no effect here{listed}")


def _summary(
    target: Path, dataset: Dataset, result: FitResult, seconds: Seconds
) -> dict[str, object]:
    return {
        "run_dir": target,
        "status": result.message,
        "converged": result.converged,
        "convention": result.convention,
        "n_points": result.n_points,
        "n_angles": dataset.n_phi,
        "chi2": result.chi2,
        "reduced_chi2": result.reduced_chi2,
        "edm": result.edm,
        "iterations": result.iterations,
        "evaluations": result.evaluations,
        "seconds": seconds,
        "parameters": {
            p.name: {
                "value": p.value,
                "uncertainty": p.uncertainty,
                "uncertainty_hessian": p.uncertainty_hessian,
                "unit": p.unit,
                "at_bound": p.at_bound,
            }
            for p in result.parameters
        },
        "contrast": result.contrast,
        "offset": result.offset,
        "x_scale": result.x_scale,
        "search": result.search,
        "noise": result.noise,
        "profiles": result.profiles,
        "condition_number": result.conditioning,
        "combinations": result.combinations,
        "equivalents": result.equivalents,
    }


def _show(
    target: Path,
    dataset: Dataset,
    result: FitResult,
    seconds: Seconds,
    truth: Mapping[str, float] | None,
    *,
    plots: bool,
) -> None:
    console = make_console()
    console.print(provenance_table(dataset.provenance))
    for note in dataset.notes:
        print_plain(console, f"Note: {note}")
    console.print(parameter_table(result, truth))
    if result.profiles:
        console.print(profile_table(result.profiles))
    for sentence in result.undetermined:
        print_plain(console, f"Not determined: {sentence}")
    if result.combinations:
        console.print(combination_table(result.combinations))
    for values in result.equivalents:
        listed = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
        print_plain(console, f"Equivalent: {listed} describes the data exactly as well")
    console.print(
        scaling_table(
            dataset.phi,
            result.contrast,
            result.contrast_uncertainty,
            result.offset,
            result.offset_uncertainty,
            result.sigma,
        )
    )
    console.print(fit_summary(result, seconds))
    pictures = " (heatmaps: c2_heatmaps_phi_*.png)" if plots else ""
    print_plain(console, f"Run directory: {target}{pictures}")
