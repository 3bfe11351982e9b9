"""``homodyne simulate``: an experiment with known truth, in a facility's file layout."""

from __future__ import annotations

import numpy as np

from homodyne_cli.cli.requests import SimulateRequest
from homodyne_cli.core.model.model_maps import fitted_maps
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import ConfigError, UsageError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.formats.write_data import write_aps_legacy, write_aps_u
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import Config
from homodyne_cli.render.console import make_console, print_plain

DEFAULT_CONTRAST = 0.3
DEFAULT_OFFSET = 1.1
DEFAULT_FRAMES = 200


def run_simulate(request: SimulateRequest) -> int:
    """Write maps of the config's initial values with white noise."""
    config = load_config(request.config)
    selection = config.selection
    if selection.start_frame != 1:
        raise ConfigError(
            f"simulate writes an experiment from its first frame, the config starts at frame "
            f"{selection.start_frame}",
            hint="set analyzer_parameters.start_frame to 1",
        )
    frames = request.frames
    if frames is None:
        frames = selection.end_frame if selection.end_frame > 0 else DEFAULT_FRAMES
    dataset = simulate_dataset(config, _angles(request.phi), frames, request.noise, request.seed)
    write = write_aps_u if request.layout == "aps-u" else write_aps_legacy
    write(request.output, dataset.array, dataset.phi, dataset.q, dataset.dt, force=request.force)
    print_plain(
        make_console(stderr=True),
        f"Wrote {request.output}: {dataset.n_phi} angles x {frames} frames, q {dataset.q:g} 1/Å, "
        f"dt {dataset.dt:g} s, noise {request.noise:g}, seed {request.seed}",
    )
    return 0


def _angles(text: str) -> FloatArray:
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError as error:
        raise UsageError(
            f"--phi {text!r}: not a list of numbers", hint="for example --phi=-30,0,30"
        ) from error


def simulate_dataset(
    config: Config, phi: FloatArray, frames: int, noise: float, seed: int
) -> Dataset:
    """Return full maps (frame k = 0 included) of the model at the config's initial values."""
    selection, initial = config.selection, config.problem.initial
    if initial.values is None:
        raise ConfigError(
            "simulate takes the truth from initial_parameters.values, which is empty",
            hint="give a value for every parameter",
        )
    if selection.q is None or selection.dt is None:
        raise ConfigError(
            "simulate needs analyzer_parameters.dt and analyzer_parameters.scattering.wavevector_q"
        )
    contrast = np.broadcast_to(np.asarray(initial.contrast or (DEFAULT_CONTRAST,)), phi.shape)
    offset = np.broadcast_to(np.asarray(initial.offset or (DEFAULT_OFFSET,)), phi.shape)
    # The model is singular at t = 0: frame 0 is written as a copy of frame 1 and never fitted.
    t = np.asarray(selection.dt * np.arange(1, frames), dtype=np.float64)
    blank = np.zeros((len(phi), frames - 1, frames - 1))
    grid = Dataset(blank, phi, t, selection.q, selection.gap, selection.dt, None, {})
    truth = {**initial.values, **initial.fixed}
    values = np.array([truth[name] for name in names_of(config.problem.mode)])
    inner = fitted_maps(grid, values, contrast, offset, config.problem.convention)
    index = np.maximum(np.arange(frames) - 1, 0)
    maps = inner[:, index[:, None], index[None, :]]
    half = noise * np.random.default_rng(seed).standard_normal(maps.shape)
    upper = np.triu(half) + np.triu(half, 1).swapaxes(1, 2)
    return Dataset(
        maps + upper, phi, np.concatenate([[0.0], t]), selection.q, selection.gap,
        selection.dt, None, {},
    )  # fmt: skip
