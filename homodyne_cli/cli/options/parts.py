"""The parts that ``fit --each`` fits one by one: rings, or repeats where there is one ring."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from homodyne_cli.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from homodyne_cli.findings.agreement import ComparedKind
    from homodyne_cli.flow import MadeRun
    from homodyne_cli.problem import Config, DataSelection

    class FitTo(Protocol):
        """Makes one run directory."""

        def __call__(self, config: Config, target: Path, *, started: float) -> MadeRun:
            """Fit a config into a run directory."""


#: The keys that select a part.
_Q = "analyzer_parameters.scattering.wavevector_q"
_FILES = "experimental_data.file_path"


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes
    ----------
    value
        q in 1/Å, or the number of the repeat.
    name
        What is added to the name of the run directory.
    setting
        ``KEY=VALUE`` that selects it.
    """

    value: float
    name: str
    setting: str


def parts_of(config: Config) -> tuple[ComparedKind, tuple[Part, ...]]:
    """Return the rings that a config selects, or its files where it selects one ring.

    Raises
    ------
    UsageError
        There is one of both.
    DataError
        The rings of the file cannot be read.
    """
    selection = config.selection
    rings = _rings(selection)
    if len(rings) > 1:
        return "rings", tuple(Part(q, f"q{q:.5g}", f"{_Q}={q!r}") for q in sorted(rings))
    if len(selection.paths) > 1:
        named = enumerate(selection.paths, 1)
        return "repeats", tuple(
            Part(float(k), f"repeat{k}", f"{_FILES}={json.dumps(str(path))}") for k, path in named
        )
    raise UsageError(
        "--each: there is one ring in one file",
        hint=f"name several rings in {_Q} (or 'all'), or several files in {_FILES}",
    )


def _rings(selection: DataSelection) -> tuple[float, ...]:
    if isinstance(selection.q, tuple):
        return selection.q
    if selection.q != "all":
        return ()
    from homodyne_cli.batch.rings import rings_of_files

    path = selection.paths[0]
    rings = rings_of_files([path])[path]
    if rings.error:
        raise DataError(rings.error)
    return rings.q


def fit_each(
    words: tuple[Path, Sequence[str]],
    config: Config,
    target: Path,
    fit_to: FitTo,
    truth: Mapping[str, float] | None,
    *,
    as_json: bool,
) -> int:
    """Fit parts one by one, compare them and show it; return the exit code.

    Parameters
    ----------
    words
        The config's file and its settings.
    target
        Parts lie beside it, each with its name added.
    truth
        Shown beside the values in JSON.
    """
    import numpy as np

    from homodyne_cli.core.agreement import compare_fits
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.render.console import make_console, print_json
    from homodyne_cli.render.screens.agreement import agreements_answer, show_each
    from homodyne_cli.render.screens.fit import fit_answer

    kind, parts = parts_of(config)
    file, overrides = words
    made = []
    for part in parts:
        own = load_config(file, (*overrides, part.setting))
        place = target.with_name(f"{target.name}_{part.name}")
        made.append(fit_to(own, place, started=time.perf_counter()))
        unsaved = made[-1].unsaved
        if unsaved is not None:
            raise unsaved
        if made[-1].result.interrupted:
            return ExitCode.INTERRUPTED
    results = [one.result for one in made]
    agreement = compare_fits(kind, np.array([part.value for part in parts]), results)
    if as_json:
        fits = [fit_answer(m.directory, m.dataset, m.result, m.seconds, truth) for m in made]
        print_json({"fits": fits, **agreements_answer([agreement])})
    else:
        show_each(make_console(), agreement, results, [one.directory for one in made])
    return ExitCode.GOOD if all(r.converged for r in results) else ExitCode.NEGATIVE
