"""A signal during a fit: what has been reached is a run, marked, and a fit goes on from it."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path

import pytest

from homodyne_cli.cli.app import app
from homodyne_cli.cli.options.command import run_words
from homodyne_cli.core.fit import fit
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import FitInterruptedError
from homodyne_cli.flow import make_run
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.files.interrupts import interruption
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.problem import FitProblem, InitialParameters, SolverOptions
from homodyne_cli.results import IterationRecord, Phase
from tests.support.datasets import RESOLVED, make_dataset

START = dict(
    zip(
        ("D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0"),
        (4000.0, -0.1, 100.0, 2e-3, 0.0, 0.0, 0.0),
        strict=True,
    )
)
FAR = (
    "optimization.nlsq.global_search=false",
    f"initial_parameters.values={json.dumps(START)}",
)


class Interrupts:
    """Sends a signal at a step."""

    def __init__(self, step: int, times: int = 1) -> None:
        self.step, self.times = step, times
        self.steps: list[IterationRecord] = []

    def on_load(self, done: int, total: int) -> None: ...

    def on_input(self, dataset: Dataset) -> None: ...

    def on_iteration(self, record: IterationRecord) -> None:
        self.steps.append(record)
        if record.iteration == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)

    def on_phase(self, phase: Phase, done: int, total: int) -> None: ...


@pytest.fixture
def folder(experiment: Path, tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_bytes((experiment / "config.yaml").read_bytes())
    (tmp_path / "data.h5").symlink_to(experiment / "data.h5")
    return tmp_path


def test_a_fit_that_is_told_to_end_stands_at_its_last_step() -> None:
    data = make_dataset(40, 3, parameters=RESOLVED, noise=0.02)
    problem = FitProblem(
        "laminar_flow",
        initial=InitialParameters(values=START),
        solver=SolverOptions(global_search=False),
    )
    steps: list[IterationRecord] = []

    def notify(record: IterationRecord) -> None:
        steps.append(record)
        if record.iteration == 3:
            raise FitInterruptedError("enough")

    result = fit(data, problem, notify)
    assert result.interrupted
    assert not result.converged
    assert result.iterations == 3
    assert result.chi2 == pytest.approx(steps[-1].chi2)
    assert "interrupted" in result.message


def test_the_first_signal_saves_and_a_fit_goes_on_from_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(folder / "config.yaml", FAR)
    run = folder / "run"
    made = make_run(config, run, plots=False, watch=Interrupts(2), interruptible=True)
    assert made.result.interrupted
    assert read_result(run).result.interrupted
    status = json.loads((run / "convergence_metrics.json").read_text())["convergence"]["status"]
    assert status == "interrupted"
    assert run_words(app, ("show", str(run))) == 0
    shown = capsys.readouterr().out
    assert "explain H405" in shown
    # What `show` says to type next works as it is, options of the first fit included.
    program, *words = shlex.split(shown.splitlines()[-1].removeprefix("Next: "))
    assert program == "homodyne"
    assert run_words(app, (*words, "--no-plots", "--json", "-q")) == 0
    assert words[-1] == f"{run}-resumed"
    answer = json.loads(capsys.readouterr().out)
    assert answer["converged"]
    assert answer["search"] is None
    assert answer["chi2"] < made.result.chi2


def test_the_second_signal_ends_at_once_and_leaves_nothing(folder: Path) -> None:
    config = load_config(folder / "config.yaml", FAR)
    with pytest.raises(KeyboardInterrupt):
        make_run(config, folder / "run", plots=False, watch=Interrupts(2, 2), interruptible=True)
    assert not (folder / "run").exists()


def test_without_anything_to_save_a_signal_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruption():
        signal.raise_signal(signal.SIGINT)
    with interruption() as signals:
        signals.step()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(FitInterruptedError):
            signals.step()
