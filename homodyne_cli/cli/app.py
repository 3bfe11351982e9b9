"""The command line: options and help here, the work in one module per command.

Nothing heavy is imported before a command runs, so ``--help`` and completion stay fast.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

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
from homodyne_cli.errors import HomodyneError
from homodyne_cli.parameters import AnalysisMode, XScaleMode

app = typer.Typer(
    name="homodyne",
    help="Fit, diagnose and verify XPCS two-time correlation maps of soft matter in flow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 good, 1 negative finding, 2 usage or config, 3 data, 4 internal, "
    "130 interrupted.",
)

INTERNAL_ERROR = 4
CLOSED_PIPE = 141


def _show_version(wanted: bool) -> None:
    if wanted:
        from homodyne_cli.cli.version import version_text

        typer.echo(version_text())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Same as 'homodyne fit CONFIG'.", autocompletion=configs),
    ] = None,
    method: Annotated[
        Literal["nlsq"], typer.Option("--method", help="Only 'nlsq' (with --config).")
    ] = "nlsq",
    output: Annotated[
        Path | None, typer.Option("--output-dir", help="Run directory (with --config).")
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show versions."),
    ] = False,
) -> None:
    """Fit, diagnose and verify XPCS two-time correlation maps of soft matter in flow."""
    if context.invoked_subcommand is not None:
        return
    if config is not None:
        fit(config, output=output)


@app.command(epilog="Example: homodyne init -o config.yaml --mode laminar_flow")
def init(
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "config.yaml"
    ),
    mode: Annotated[AnalysisMode, typer.Option(help="Analysis mode.")] = "laminar_flow",
    force: Force = False,
) -> None:
    """Write a commented config to start from."""
    from homodyne_cli.cli.init import run_init

    run_init(output, mode, force=force)


@app.command(
    epilog="Example: homodyne simulate config.yaml -o data.h5 --phi 0,45,90 --frames 200 --seed 1"
)
def simulate(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")],
    noise: Annotated[float, typer.Option(min=0.0, help="White noise per pair.")] = 0.06,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    layout: Annotated[Literal["aps-u", "aps-legacy"], typer.Option(help="File layout.")] = "aps-u",
    phi: Annotated[
        str, typer.Option(help="Detector angles in degrees, separated by commas.")
    ] = "-30,-15,0,30,60",
    frames: Annotated[
        int | None,
        typer.Option(min=4, help="Frames in the file; default the config's end_frame, else 200."),
    ] = None,
    force: Force = False,
) -> None:
    """Simulate an experiment from a config: its initial values are the truth."""
    from homodyne_cli.cli.simulate import run_simulate

    run_simulate(
        config, output, noise=noise, seed=seed, layout=layout, phi=phi, frames=frames, force=force
    )


@app.command(
    epilog="Example: homodyne fit config.yaml -o run1 --set analyzer_parameters.end_frame=500"
)
def fit(
    config: ConfigFile,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run directory to write.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY.PATH=VALUE",
            help="Override one config key.",
            autocompletion=config_keys,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Data file to fit, instead of the config's.", autocompletion=data_files),
    ] = None,
    x_scale: Annotated[
        XScaleMode | None, typer.Option("--x-scale", help="How parameters are scaled.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Config whose initial values are the truth, shown beside the fit.",
            autocompletion=configs,
        ),
    ] = None,
    global_search: Annotated[
        bool | None,
        typer.Option(
            "--global/--no-global",
            help="Search for the best minimum first, or go down from the start values alone.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Profile-likelihood intervals of these parameters.",
            autocompletion=parameter_names,
        ),
    ] = None,
    compile_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep compiled code there, so that later fits start faster."
        ),
    ] = None,
    memory: MemorySize = None,
    as_json: AsJson = False,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Write no heatmaps.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List config keys that have no effect here.")
    ] = False,
) -> None:
    """Fit the model to two-time correlation maps and write a run directory."""
    from homodyne_cli.cli.fit import FitRequest, run_fit

    request = FitRequest(
        config=config,
        output=output,
        overrides=tuple(override or ()),
        data=data,
        x_scale=x_scale,
        truth=truth,
        as_json=as_json,
        plots=not no_plots,
        force=force,
        quiet=quiet,
        verbose=verbose,
        global_search=global_search,
        compile_cache=compile_cache,
        profile=tuple(n.strip() for n in profile.split(",")) if profile else (),
        memory=memory,
    )
    raise typer.Exit(run_fit(request))


@app.command(epilog="Example: homodyne diagnose run1 -o x_scale_fix.yaml")
def diagnose(
    run: RunDirectory,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the recommended map as YAML.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=1.0, help="Effective ratio that counts as imbalance.")
    ] = 10.0,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Baseline parameters; default D0,D_offset,phi0.",
            autocompletion=parameter_names,
        ),
    ] = None,
    measure: Annotated[
        Literal["gradient", "sensitivity"], typer.Option(help="What the map is built from.")
    ] = "gradient",
    config: GapConfig = None,
    memory: MemorySize = None,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The verdict alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show whether gradient imbalance stopped a fit early, and recommend an x_scale_map."""
    from homodyne_cli.cli.diagnose import DiagnoseRequest, run_diagnose

    request = DiagnoseRequest(
        run, output, threshold, baseline, measure, config, force, quiet, as_json, memory
    )
    raise typer.Exit(run_diagnose(request))


@app.command(
    "apply-scale", epilog="Example: homodyne apply-scale config.yaml x_scale_fix.yaml --dry-run"
)
def apply_scale(
    config: ConfigFile,
    fix: Annotated[
        Path,
        typer.Argument(
            help="What 'homodyne diagnose -o' wrote.", metavar="FIX", autocompletion=fix_files
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; the config is left alone."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, write nothing.")
    ] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Keep no CONFIG.bak.")] = False,
    force: Force = False,
) -> None:
    """Enter a recommended x_scale_map into a config and leave every other byte as it was."""
    from homodyne_cli.cli.apply_scale import run_apply_scale

    raise typer.Exit(
        run_apply_scale(
            config, fix, output=output, dry_run=dry_run, backup=not no_backup, force=force
        )
    )


@app.command(epilog="Example: homodyne verify run2 --baseline run1")
def verify(
    run: RunDirectory,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Older run of the same data to compare with.", autocompletion=run_directories
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="HTML page to write, readable offline.", metavar="FILE")
    ] = None,
    config: GapConfig = None,
    memory: MemorySize = None,
    force: Force = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails as well.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No lag profiles.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a fit against the validation checklist."""
    from homodyne_cli.cli.verify import VerifyRequest, run_verify

    request = VerifyRequest(run, baseline, report, config, force, strict, quiet, as_json, memory)
    raise typer.Exit(run_verify(request))


class _ErrorsToMessages:
    """Turns what a command raises into a message and an exit code; the only place that does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, (SystemExit, KeyboardInterrupt)):
            return
        if isinstance(error, HomodyneError):
            from homodyne_cli.render.console import print_error

            print_error(error.message if not error.args else str(error), error.hint)
            raise SystemExit(error.exit_code) from None
        if isinstance(error, BrokenPipeError):
            # The reader of the pipe has gone; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(CLOSED_PIPE) from None
        traceback.print_exception(kind, error, trace)
        sys.stderr.write("homodyne: internal error; please report it with the lines above\n")
        raise SystemExit(INTERNAL_ERROR) from None


def main() -> None:
    """Run the command line."""
    with _ErrorsToMessages():
        app()
