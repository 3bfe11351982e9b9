"""Fit, diagnose and verify X-ray photon correlation spectroscopy data of soft matter in flow.

The library is imported when a name is used first, so that the command line starts at once::

    from homodyne_cli import diagnose, fit, load_config, load_data, load_run, verify

    config = load_config("config.yaml")
    data = load_data(config)
    result = fit(config, data)            # a table in a notebook; result["D0"].value
    diagnosis, checks = diagnose(result), verify(result)
    run = load_run("run1")                # what `homodyne fit -o run1` wrote

``make_run(config, "run1")`` does what ``homodyne fit`` does, and writes the run directory. Every
result has ``to_dict()``, ``to_dataframe()`` and a view in notebooks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from homodyne_cli.library.calls import diagnose, fit, load_run, make_run, verify
    from homodyne_cli.library.inputs import load_config, load_data

__all__ = [
    "diagnose",
    "fit",
    "load_config",
    "load_data",
    "load_run",
    "make_run",
    "verify",
]

_INPUTS: Final = ("load_config", "load_data")


if not TYPE_CHECKING:
    # A type checker that saw it would take every mistyped name for one that is there.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "inputs" if name in _INPUTS else "calls"
        return getattr(import_module(f"{__name__}.library.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
