"""What each command takes: one frozen dataclass per command, its docstring the help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from homodyne_cli.cli.completers import (
    config_keys,
    configs,
    data_files,
    fix_files,
    parameter_names,
    run_directories,
)
from homodyne_cli.cli.options import (
    AsJson,
    ConfigFile,
    Force,
    GapConfig,
    MemorySize,
    Quiet,
    RunDirectory,
)
from homodyne_cli.parameters import AnalysisMode, XScaleMode


@dataclass(frozen=True)
class InitRequest:
    """Write a commented config to start from."""

    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "config.yaml"
    )
    mode: Annotated[AnalysisMode, typer.Option(help="Analysis mode.")] = "laminar_flow"
    force: Force = False


@dataclass(frozen=True)
class SimulateRequest:
    """Simulate an experiment from a config: its initial values are the truth."""

    config: ConfigFile
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")]
    noise: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="White noise per pair; default 0.06, none with --speckles.",
            show_default=False,
        ),
    ] = None
    speckles: Annotated[
        int | None,
        typer.Option(min=1, help="Draw this many speckles per angle: noise as it is measured."),
    ] = None
    counts: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Photons per speckle and frame; none: no photon noise."),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0
    layout: Annotated[Literal["aps-u", "aps-legacy"], typer.Option(help="File layout.")] = "aps-u"
    phi: Annotated[str, typer.Option(help="Detector angles in degrees, separated by commas.")] = (
        "-30,-15,0,30,60"
    )
    frames: Annotated[
        int | None,
        typer.Option(min=4, help="Frames in the file; default the config's end_frame, else 200."),
    ] = None
    force: Force = False


@dataclass(frozen=True)
class FitRequest:
    """Fit the model to two-time correlation maps and write a run directory."""

    config: ConfigFile
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run directory to write.")
    ] = None
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY.PATH=VALUE",
            help="Override one config key.",
            autocompletion=config_keys,
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(help="Data file to fit, instead of the config's.", autocompletion=data_files),
    ] = None
    x_scale: Annotated[
        XScaleMode | None, typer.Option("--x-scale", help="How parameters are scaled.")
    ] = None
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Config whose initial values are the truth, shown beside the fit.",
            autocompletion=configs,
        ),
    ] = None
    global_search: Annotated[
        bool | None,
        typer.Option(
            "--global/--no-global",
            help="Search for the best minimum first, or go down from the start values alone.",
            show_default=False,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Profile-likelihood intervals of these parameters.",
            autocompletion=parameter_names,
        ),
    ] = None
    compile_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep compiled code there, so that later fits start faster."
        ),
    ] = None
    memory: MemorySize = None
    as_json: AsJson = False
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Write no heatmaps.")] = False
    force: Force = False
    quiet: Quiet = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List config keys that have no effect here.")
    ] = False


@dataclass(frozen=True)
class DiagnoseRequest:
    """Show whether gradient imbalance stopped a fit early, and recommend an x_scale_map."""

    run: RunDirectory
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the recommended map as YAML.")
    ] = None
    threshold: Annotated[
        float, typer.Option(min=1.0, help="Effective ratio that counts as imbalance.")
    ] = 10.0
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Baseline parameters; default D0,D_offset,phi0.",
            autocompletion=parameter_names,
        ),
    ] = None
    measure: Annotated[
        Literal["gradient", "sensitivity"], typer.Option(help="What the map is built from.")
    ] = "gradient"
    config: GapConfig = None
    memory: MemorySize = None
    force: Force = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The verdict alone.")] = False
    as_json: AsJson = False


@dataclass(frozen=True)
class ApplyScaleRequest:
    """Enter a recommended x_scale_map into a config and leave every other byte as it was."""

    config: ConfigFile
    fix: Annotated[
        Path,
        typer.Argument(
            help="What 'homodyne diagnose -o' wrote.", metavar="FIX", autocompletion=fix_files
        ),
    ]
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; the config is left alone."),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, write nothing.")
    ] = False
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Keep no CONFIG.bak.")] = False
    force: Force = False


@dataclass(frozen=True)
class VerifyRequest:
    """Check a fit against the validation checklist."""

    run: RunDirectory
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Older run of the same data to compare with.", autocompletion=run_directories
        ),
    ] = None
    report: Annotated[
        Path | None, typer.Option(help="HTML page to write, readable offline.", metavar="FILE")
    ] = None
    config: GapConfig = None
    memory: MemorySize = None
    force: Force = False
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails as well.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No lag profiles.")] = False
    as_json: AsJson = False
