"""Fit, diagnose and verify X-ray photon correlation spectroscopy data of soft matter in flow.

The library is imported when a name is used first, so that the command line starts at once::

    from homodyne_cli import diagnose, evaluate_run, fit, load_config, load_data, load_run, verify

    config = load_config(Path("config.yaml"))
    data = load_data(config.selection, config.problem.mode)
    result = fit(data, config.problem)

    run = evaluate_run(load_run(Path("run1")))
    diagnosis, checks = diagnose(run), verify(run)

``make_run(config, Path("run1"))`` does what ``homodyne fit`` does, and writes the run directory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from homodyne_cli.core.diagnosis import diagnose
    from homodyne_cli.core.evaluation import evaluate_run
    from homodyne_cli.core.fit import fit
    from homodyne_cli.core.verification import verify
    from homodyne_cli.flow import make_run
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.maps.read_data import read_dataset as load_data
    from homodyne_cli.io.run.read_run import read_run as load_run

__all__ = [
    "diagnose",
    "evaluate_run",
    "fit",
    "load_config",
    "load_data",
    "load_run",
    "make_run",
    "verify",
]

_HOMES: Final = {
    "diagnose": ("core.diagnosis", "diagnose"),
    "evaluate_run": ("core.evaluation", "evaluate_run"),
    "fit": ("core.fit", "fit"),
    "load_config": ("io.config.load", "load_config"),
    "load_data": ("io.maps.read_data", "read_dataset"),
    "load_run": ("io.run.read_run", "read_run"),
    "make_run": ("flow", "make_run"),
    "verify": ("core.verification", "verify"),
}


if not TYPE_CHECKING:
    # A type checker that saw it would take every mistyped name for one that is there.
    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home, function = _HOMES[name]
        return getattr(import_module(f"{__name__}.{home}"), function)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
