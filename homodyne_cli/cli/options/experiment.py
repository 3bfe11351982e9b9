"""The experiment that a config describes, for commands that need no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from homodyne_cli.cli.options.shared import comma_separated
from homodyne_cli.errors import ConfigError, UsageError
from homodyne_cli.parameters import names_of

if TYPE_CHECKING:
    from homodyne_cli.core.simulation import Experiment
    from homodyne_cli.problem import Config, DataSelection

#: Detector angles where none are given.
PHI: Final = "-30,-15,0,30,60"
DEFAULT_CONTRAST = 0.3
DEFAULT_OFFSET = 1.1
DEFAULT_FRAMES = 200


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Return the numbers of a list like ``-30,0,30``."""
    try:
        return tuple(float(part) for part in comma_separated(text))
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r}: not a list of numbers", hint=f"for example {option}=-30,0,30"
        ) from error


def true_values(config: Config, command: str) -> dict[str, float]:
    """Return the config's initial values, in table order."""
    initial = config.problem.initial
    if initial.values is None:
        raise ConfigError(
            f"{command} takes the truth from initial_parameters.values, which is empty",
            hint="give a value for every parameter",
        )
    truth = {**initial.values, **initial.fixed}
    return {name: truth[name] for name in names_of(config.problem.mode)}


def own_frames(config: Config) -> int:
    """Return how many frames the config selects, that at t = 0 among them."""
    last = config.selection.end_frame
    return last - config.selection.start_frame + 1 if last > 0 else DEFAULT_FRAMES


def config_experiment(
    config: Config, phi: tuple[float, ...], frames: int | None, command: str
) -> Experiment:
    """Return the experiment whose truth are the config's initial values, frame k = 0 included.

    Parameters
    ----------
    frames
        Frames in the file; None for the config's.
    command
        That asks, for messages.
    """
    import numpy as np

    from homodyne_cli.core.simulation import Experiment

    truth = true_values(config, command)
    selection, initial = config.selection, config.problem.initial
    if not isinstance(selection.q, float) or selection.dt is None:
        several = "" if selection.q is None else ", of one ring"
        raise ConfigError(
            f"{command} needs analyzer_parameters.dt and "
            f"analyzer_parameters.scattering.wavevector_q{several}"
        )
    frames = own_frames(config) if frames is None else frames
    return Experiment(
        parameters=np.array(list(truth.values())),
        phi=np.array(phi),
        n_frames=frames - 1,
        q=selection.q,
        gap=selection.gap,
        dt=selection.dt,
        contrast=np.array(_scaling("contrast", initial.contrast or (DEFAULT_CONTRAST,), len(phi))),
        offset=np.array(_scaling("offset", initial.offset or (DEFAULT_OFFSET,), len(phi))),
        convention=config.problem.convention,
        from_zero=True,
        start=_start(selection, selection.dt),
    )


def _start(selection: DataSelection, dt: float) -> float:
    """Return t at the first frame of the selection, in seconds."""
    if selection.time_origin == "window":
        return 0.0
    began = 0.0 if selection.time_origin == "series" else selection.time_origin
    return began + (selection.start_frame - 1) * dt


def _scaling(name: str, values: tuple[float, ...], n_phi: int) -> tuple[float, ...]:
    if len(values) not in (1, n_phi):
        raise ConfigError(
            f"initial_parameters.per_angle_scaling.{name} has {len(values)} values for "
            f"{n_phi} angles",
            hint="give one value, or one for each angle of --phi",
        )
    return values
