"""Fit growing windows of a series, to see whether its parameters stay what they are.

    homodyne simulate aps_u.yaml -o aps_u.h5 --frames 100 --noise 0.02
    python windows.py

The whole series becomes a run directory, which is checked.
"""

from pathlib import Path

from homodyne_cli import evaluate_run, fit, load_config, load_data, load_run, make_run, verify
from homodyne_cli.results import FitResult

HERE = Path(__file__).parent


def show(window: str, result: FitResult) -> None:
    d0 = result.parameters[0]
    print(f"{window:>6}  {result.reduced_chi2:12.4f}  {d0.value:.4g} +- {d0.uncertainty:.2g}")


def main() -> None:
    print("frames  reduced chi2  D0")
    for last in (50, 75):
        config = load_config(HERE / "aps_u.yaml", [f"analyzer_parameters.end_frame={last}"])
        data = load_data(config.selection, config.problem.mode)
        show(str(last), fit(data, config.problem))

    target = HERE / "run_windows"
    made = make_run(load_config(HERE / "aps_u.yaml"), target, force=True, plots=False)
    show("all", made.result)
    for check in verify(evaluate_run(load_run(target))):
        print(f"{check.status:5} {check.id}: {check.message}")


if __name__ == "__main__":
    main()
