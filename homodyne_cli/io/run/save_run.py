"""Everything of a run into its directory: maps, pictures, results, config, manifest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from homodyne_cli.core.gram_pass.passes import describe_device
from homodyne_cli.core.model.pair_model import ModelMaps, model_maps
from homodyne_cli.dataset import Dataset, Provenance
from homodyne_cli.io.config.dump import dump_yaml
from homodyne_cli.io.files.curves_file import CURVES, write_curves
from homodyne_cli.io.files.directories import NewDirectory, new_directory
from homodyne_cli.io.files.outputs import output_errors
from homodyne_cli.io.run.fitted_data import write_fitted_data
from homodyne_cli.io.run.write_run import MANIFEST, RunRecord, write_run
from homodyne_cli.problem import Config
from homodyne_cli.results import FitResult, Seconds
from homodyne_cli.version import versions

#: Draws the maps of a dataset and of its fit, and the fit's curves, into a folder, for a run of a
#: name.
Draw = Callable[[Path, str, Dataset, ModelMaps, FitResult], None]
#: What a matplotlib style that cannot be drawn with raises: no LaTeX, no such backend or font.
_STYLE_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, ImportError)


def new_run(target: Path, *, force: bool) -> AbstractContextManager[NewDirectory]:
    """Reserve the place of a run directory; see `new_directory`."""
    return new_directory(target, force=force, marker=MANIFEST)


def save_run(
    run: NewDirectory,
    config: Config,
    dataset: Dataset,
    result: FitResult,
    seconds: Callable[[], Seconds],
    *,
    command_line: tuple[str, ...],
    draw: Draw | None,
) -> None:
    """Write a run directory and put it in place.

    Parameters
    ----------
    seconds
        Tells where the time has gone until it is called.
    draw
        None draws no pictures.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    inputs = [path for path in (config.path, *config.selection.paths) if path is not None]
    with output_errors(run.target):
        _save_maps(run, dataset, result, draw)
        write_curves(run.path / CURVES, result.curves)
        record = RunRecord(
            command_line=command_line,
            versions=versions(),
            device=describe_device(dataset, config.problem),
            config_text=dump_yaml(config.resolved),
            inputs=tuple(inputs),
            linked=dataset.linked,
        )
        write_run(run.path, config, dataset, result, seconds(), record)
    run.put_in_place()


def _save_maps(run: NewDirectory, dataset: Dataset, result: FitResult, draw: Draw | None) -> None:
    """Write the maps and draw them side by side; pictures that fail are a note."""
    scaling = result.contrast, result.offset
    fitted = model_maps(dataset, result.values, *scaling, result.convention)
    with ThreadPoolExecutor(max_workers=1) as beside:
        drawn = None
        if draw is not None:
            drawn = beside.submit(draw, run.path, run.target.name, dataset, fitted, result)
        write_fitted_data(run.path / "fitted_data.h5", dataset, result, fitted)
        try:
            if drawn is not None:
                drawn.result()
        except _STYLE_ERRORS as error:
            said = str(error).strip().partition("\n")[0][:200]
            run.notes.append(f"no pictures: matplotlib says {type(error).__name__}: {said}")


def with_noise_source(dataset: Dataset, result: FitResult) -> Dataset:
    """Note in the provenance where the noise came from if the fit estimated it."""
    if dataset.sigma is not None:
        return dataset
    low, high = float(result.sigma.min()), float(result.sigma.max())
    text = f"{low:.3g}" if high - low < 0.005 * high else f"{low:.3g} to {high:.3g}"
    how = "estimated from neighbouring pairs at equal lag"
    if result.noise.weights is not None:
        how += "; pairs are weighed by their covariance"
    elif result.noise.shared_out:
        how += ", then shared out by how much each angle's noise repeats itself"
    source = Provenance(text, how)
    return replace(dataset, provenance={**dataset.provenance, "sigma": source})
