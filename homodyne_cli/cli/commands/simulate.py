"""``homodyne simulate``: an experiment with known truth, in a facility's file layout."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from homodyne_cli.cli.options.experiment import PHI, config_experiment, numbers
from homodyne_cli.cli.options.shared import ConfigFile, Force
from homodyne_cli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from homodyne_cli.core.simulation import Noise

DEFAULT_NOISE = 0.06


@dataclass(frozen=True)
class SimulateRequest:
    """Simulate an experiment from a config: its initial values are the truth.

    Example: homodyne simulate config.yaml -o data.h5 --phi 0,45,90 --frames 200 --seed 1
    """

    config: ConfigFile
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")]
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=0.0,
            help="White noise per pair; default 0.06, none with --speckles.",
            show_default=False,
        ),
    ] = None
    speckles: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Draw this many speckles per angle: noise as it is measured."
        ),
    ] = None
    counts: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=1e-6, help="Photons per speckle and frame; none: no photon noise."
        ),
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the noise.")] = 0
    layout: Annotated[Literal["aps-u", "aps-legacy"], typer.Option(help="File layout.")] = "aps-u"
    phi: Annotated[str, typer.Option(metavar="DEG,...", help="Detector angles in degrees.")] = PHI
    frames: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=4, help="Frames in the file; default the config's end_frame, else 200."
        ),
    ] = None
    force: Force = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        if self.counts is not None and self.speckles is None:
            raise UsageError("--counts are photons per speckle", hint="give --speckles as well")


def run_simulate(request: SimulateRequest) -> int:
    """Write maps of the config's initial values."""
    from homodyne_cli.core.simulation import simulate_rings
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.files.outputs import check_file
    from homodyne_cli.io.formats.write_data import write_aps_legacy, write_aps_u
    from homodyne_cli.render.console import make_console, print_next, print_sentence

    check_file(request.output, force=request.force)
    config = load_config(request.config)
    if config.selection.start_frame != 1:
        raise ConfigError(
            f"simulate writes an experiment from its first frame, the config starts at frame "
            f"{config.selection.start_frame}",
            hint="set analyzer_parameters.start_frame to 1",
        )
    phi = numbers(request.phi, "--phi")
    q = config.selection.q
    each = sorted(q) if isinstance(q, tuple) else [q]
    rings = [
        replace(config, selection=replace(config.selection, q=one)) for one in each if one != "all"
    ]
    experiments = [config_experiment(one, phi, request.frames, "simulate") for one in rings]
    if not experiments:
        raise ConfigError(
            "simulate needs the wave vectors of the rings, not 'all'",
            hint="list them in analyzer_parameters.scattering.wavevector_q",
        )
    noise = _noise(request)
    dataset = simulate_rings(experiments, noise, request.seed)
    pixels = request.speckles
    write = (
        write_aps_legacy if request.layout == "aps-legacy" else partial(write_aps_u, pixels=pixels)
    )
    q_of_rings = dataset.rows.rings
    write(request.output, dataset.array, experiments[0].phi, q_of_rings, dataset.dt,
          force=request.force)  # fmt: skip
    what = "angles" if len(q_of_rings) == 1 else "maps"
    console = make_console(stderr=True)
    print_sentence(
        console,
        f"Wrote {request.output}: {dataset.n_phi} {what} x {dataset.n_frames} frames, "
        f"q {', '.join(f'{ring:g}' for ring in q_of_rings)} 1/Å, dt {dataset.dt:g} s, "
        f"{_told(noise)}, seed {request.seed}",
    )
    print_next(console, "fit", request.config, "--data", request.output, "--truth", request.config)
    return 0


def _noise(request: SimulateRequest) -> Noise:
    from homodyne_cli.core.simulation import Noise

    if request.speckles is None:
        return Noise(DEFAULT_NOISE if request.noise is None else request.noise)
    counts = math.inf if request.counts is None else request.counts
    return Noise(request.noise or 0.0, request.speckles, counts)


def _told(noise: Noise) -> str:
    parts = [f"noise {noise.white:g}"] if noise.white or noise.speckles is None else []
    if noise.speckles is not None:
        parts.append(f"{noise.speckles} speckles per angle")
    if math.isfinite(noise.counts):
        parts.append(f"{noise.counts:g} photons per speckle and frame")
    return ", ".join(parts)
