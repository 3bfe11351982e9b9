"""What each command takes: one frozen dataclass per command, its docstring the help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from homodyne_cli.cli.completers import (
    parameter_names,
    run_directories,
)
from homodyne_cli.cli.options import (
    AsJson,
    ConfigFile,
    Force,
    GapConfig,
    MemorySize,
    RunDirectory,
    refuse_needless_force,
)


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

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")


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

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.report, "--report")
