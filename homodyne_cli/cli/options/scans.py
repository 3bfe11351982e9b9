"""Scans of measurements: lists of settings, goals, and the measurement that settings make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from homodyne_cli.cli.options.experiment import (
    DEFAULT_CONTRAST,
    config_experiment,
    numbers,
    own_frames,
)
from homodyne_cli.errors import UsageError
from homodyne_cli.parameters import canonical_name

if TYPE_CHECKING:
    from homodyne_cli.core.plan import Measurement
    from homodyne_cli.problem import Config, FitProblem

_MOST_POINTS: Final = 1000
#: Least values of settings that are whole numbers: maps need some pairs.
_WHOLE: Final = {"frames": 6, "angles": 1, "speckles": 1}
#: Maps half a turn apart are alike, so angles are spread over the other half.
_HALF_TURN: Final = 180.0


def scan_axes(
    config: Config, lists: Mapping[str, str | None], phi: Sequence[float] | None
) -> dict[str, tuple[float, ...]]:
    """Return the values of every setting, of those that are not given the config's.

    Parameters
    ----------
    lists
        Comma-separated values by name, in the order of the scan.
    phi
        Detector angles; None where their number is scanned.

    Raises
    ------
    UsageError
        If a value cannot be, the noise is not known, or there are too many combinations.
    """
    selection = config.selection
    speckled = lists["speckles"] is not None
    contrast = config.problem.initial.contrast or (DEFAULT_CONTRAST,)
    own: dict[str, float | None] = {
        "dt": selection.dt,
        "frames": own_frames(config),
        "contrast": contrast[0] if len(set(contrast)) == 1 else None,
        "counts": math.inf if speckled else None,
        "angles": None if phi is None else len(phi),
        "noise": None if speckled else selection.sigma,
    }
    axes = {}
    for name, text in lists.items():
        default = own.get(name)
        if text is not None:
            axes[name] = _values(name, text)
        elif default is not None:
            axes[name] = (float(default),)
    if not speckled and "noise" not in axes:
        raise UsageError(
            "nothing says how noisy the maps will be",
            hint="give --speckles (pixels of a bin over pixels of a speckle) and --counts, or "
            "--noise",
        )
    points = math.prod(len(values) for values in axes.values())
    if points > _MOST_POINTS:
        raise UsageError(
            f"{points} combinations of settings are more than {_MOST_POINTS}",
            hint="give shorter lists",
        )
    return axes


def _values(name: str, text: str) -> tuple[float, ...]:
    values = numbers(text, f"--{name}")
    least, most = _WHOLE.get(name), 1.0 if name == "contrast" else math.inf
    for value in values:
        whole = least is None or (value >= least and value.is_integer())
        if not (math.isfinite(value) and 0.0 < value <= most and whole):
            wanted = f"a whole number from {least} on" if least else "a number above 0"
            limit = " and at most 1" if name == "contrast" else ""
            raise UsageError(f"--{name}: {value:g} is not {wanted}{limit}")
        if values.count(value) > 1:
            raise UsageError(f"--{name}: {value:g} stands there twice")
    return values


def measurement(
    config: Config, phi: Sequence[float] | None, settings: Mapping[str, float]
) -> Measurement:
    """Return what a config and settings describe."""
    from homodyne_cli.core.plan import Measurement
    from homodyne_cli.core.simulation import Noise

    if phi is None:
        sector = _HALF_TURN / settings["angles"]
        phi = [sector * (k + 0.5) for k in range(int(settings["angles"]))]
    if "dt" in settings:
        config = replace(config, selection=replace(config.selection, dt=settings["dt"]))
    frames = int(settings["frames"])
    experiment = replace(config_experiment(config, tuple(phi), frames, "plan"), from_zero=False)
    if "contrast" in settings:
        experiment = replace(experiment, contrast=settings["contrast"])
    speckles = settings.get("speckles")
    return Measurement(
        experiment,
        Noise(
            white=settings.get("noise", 0.0),
            speckles=None if speckles is None else int(speckles),
            counts=settings.get("counts", math.inf),
        ),
    )


def read_goals(
    texts: Sequence[str], problem: FitProblem, truth: Mapping[str, float]
) -> dict[str, float]:
    """Return uncertainties to reach, by parameter, from texts like ``D0=5%``.

    Raises
    ------
    UsageError
        If one is not of that form, or of a parameter that is not fitted.
    """
    from homodyne_cli.core.objective.build import free_names

    free, goals = free_names(problem), dict[str, float]()
    for text in texts:
        name, _, size = text.partition("=")
        known = canonical_name(name.strip()) or name.strip()
        if known not in free:
            raise UsageError(
                f"--goal {text}: {known!r} is not fitted", hint=f"fitted are {', '.join(free)}"
            )
        try:
            value = float(size.strip().removesuffix("%"))
        except ValueError:
            value = math.nan
        if size.strip().endswith("%"):
            value *= 0.01 * abs(truth[known])
        if not (math.isfinite(value) and value > 0.0):
            raise UsageError(
                f"--goal {text}: not an uncertainty above 0",
                hint=f"for example --goal {known}=0.5, or 5% of a value that is not 0",
            )
        goals[known] = value
    return goals
