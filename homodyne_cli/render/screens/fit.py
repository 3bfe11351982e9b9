"""What ``fit`` shows: tables for people, one object for scripts, pictures in the run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.dataset import Dataset, Rows
from homodyne_cli.io.files.printable import printable
from homodyne_cli.render.console import (
    is_ascii,
    make_console,
    print_next,
    print_plain,
    print_sentence,
)
from homodyne_cli.render.curve_charts import CURVE_LABELS, curve_charts
from homodyne_cli.render.findings import print_codes, print_findings, result_codes
from homodyne_cli.render.screens.agreement import agreements_answer, show_agreements
from homodyne_cli.render.screens.inputs import input_answer
from homodyne_cli.render.tables import (
    combination_table,
    fit_summary,
    parameter_table,
    profile_table,
    scaling_table,
)
from homodyne_cli.results import FitResult, FittedParameter, OnCount, Seconds, unfollowed

Truth = Mapping[str, float] | None
_WIDEST_CHARTS = 140


def draw_pictures(
    folder: Path,
    name: str,
    dataset: Dataset,
    fitted: ModelMaps,
    result: FitResult,
    *,
    on_page: OnCount = unfollowed,
) -> None:
    """Draw the maps, one page per angle, and the curves.

    Parameters
    ----------
    name
        Of the run.
    on_page
        Told after each page how many are drawn, and of how many.
    """
    # Half of what there is to import, for pictures alone.
    from homodyne_cli.render.pictures.agreement_picture import save_agreement
    from homodyne_cli.render.pictures.curve_picture import CURVES_PICTURE, save_curves
    from homodyne_cli.render.pictures.heatmaps import drawn_frames, save_heatmaps

    frames = drawn_frames(dataset.n_frames)
    maps = dataset.selected(frames), fitted.selected(frames)
    # A dollar would begin a formula.
    shown = name.replace("$", r"\$")
    rings = dataset.rows.rings
    title = f"{shown}, q = {rings[0]:.5g} 1/Å, " if len(rings) == 1 else f"{shown}, "
    scaling = fitted.contrast, fitted.offset
    t = dataset.t[frames]
    save_heatmaps(
        folder, dataset.rows, t, *maps, result.sigma, scaling, title=title, on_page=on_page
    )
    labels = {key: label for key, (_, label) in CURVE_LABELS.items()}
    save_curves(folder / CURVES_PICTURE, result.curves, labels, title)
    for agreement in result.agreements:
        save_agreement(folder / f"{agreement.kind}.png", agreement, title)


def fit_answer(
    target: Path | None, dataset: Dataset, result: FitResult, seconds: Seconds, truth: Truth
) -> dict[str, object]:
    """Return what ``fit --json`` prints."""
    return {
        "run_dir": None if target is None else printable(target),
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
        "parameters": {p.name: _parameter(p, truth) for p in result.parameters},
        "contrast": result.contrast,
        "offset": result.offset,
        "x_scale": result.x_scale,
        "search": result.search,
        "noise": result.noise,
        "profiles": result.profiles,
        "condition_number": result.conditioning,
        "combinations": result.combinations,
        "equivalents": result.equivalents,
        "codes": result_codes(result),
        **agreements_answer(result.agreements),
        **input_answer(dataset),
    }


def _parameter(parameter: FittedParameter, truth: Truth) -> dict[str, object]:
    answer: dict[str, object] = {
        "value": parameter.value,
        "uncertainty": parameter.uncertainty,
        "uncertainty_hessian": parameter.uncertainty_hessian,
        "uncertainty_unbounded": parameter.uncertainty_unbounded,
        "unit": parameter.unit,
        "at_bound": parameter.at_bound,
    }
    return answer if truth is None else {**answer, "truth": truth.get(parameter.name)}


def show_fit(
    target: Path | None,
    dataset: Dataset,
    result: FitResult,
    seconds: Seconds,
    truth: Truth,
    *,
    plots: bool,
) -> None:
    """Print what came out, again what is doubtful, where the run lies and what to type next."""
    show_result(dataset.rows, result, seconds, truth)
    findings = dataset.findings or ()
    print_findings(make_console(), findings)
    print_codes(make_console(), (*(f.code for f in findings), *result_codes(result)))
    drawn = "c2_heatmaps_*.png", "curves.png", *(f"{one.kind}.png" for one in result.agreements)
    pictures = f" (pictures: {', '.join(drawn)})" if plots else ""
    if target is not None:
        console = make_console()
        print_sentence(console, f"Run directory: {target}{pictures}")
        print_next_step(console, target, result)


def print_next_step(console: Console, run: Path, result: FitResult) -> None:
    """Print what to type after a fit; its own config says all that was asked of it."""
    if result.interrupted:
        config = run / "config.yaml"
        print_next(console, "fit", config, "--resume", run, "-o", f"{run}-resumed")
    else:
        print_next(console, "verify" if result.converged else "diagnose", run)


def show_result(
    rows: Rows, result: FitResult, seconds: Seconds | None, truth: Truth = None
) -> None:
    """Print what a fit made of its data, and how it went: last what is looked for first."""
    console = make_console()
    width = min(console.width, _WIDEST_CHARTS)
    charts = curve_charts(result.curves, width=width, ascii_only=is_ascii(console))
    print_plain(console, f"\n{charts}")
    console.print(
        scaling_table(
            rows,
            result.contrast,
            result.contrast_uncertainty,
            result.offset,
            result.offset_uncertainty,
            result.sigma,
        )
    )
    show_agreements(console, result.agreements)
    console.print(parameter_table(result, truth))
    if result.profiles:
        console.print(profile_table(result.profiles))
    for sentence in result.undetermined:
        print_sentence(console, f"Not determined: {sentence}")
    if result.combinations:
        console.print(combination_table(result.combinations))
    for values in result.equivalents:
        listed = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
        print_sentence(console, f"Equivalent: {listed} describes the data exactly as well")
    console.print(fit_summary(result, seconds))
