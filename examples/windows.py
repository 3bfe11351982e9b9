"""Fit growing windows of a series, to see whether its parameters stay what they are.

    homodyne simulate aps_u.yaml -o aps_u.h5 --frames 100 --noise 0.02
    python windows.py

The whole series becomes a run directory, which is checked.
"""

from pathlib import Path

from homodyne_cli import fit, load_config, make_run, verify
from homodyne_cli.library.fitted import Fit

HERE = Path(__file__).parent


def show(window: str, fitted: Fit) -> None:
    d0 = fitted["D0"]
    print(
        f"{window:>6}  {fitted.result.reduced_chi2:12.4f}  {d0.value:.4g} +- {d0.uncertainty:.2g}"
    )


def main() -> None:
    print("frames  reduced chi2  D0")
    for last in (50, 75):
        config = load_config(HERE / "aps_u.yaml", [f"analyzer_parameters.end_frame={last}"])
        show(str(last), fit(config))

    target = HERE / "run_windows"
    run = make_run(load_config(HERE / "aps_u.yaml"), target, force=True)
    show("all", run)
    for check in verify(run):
        print(f"{check.status:5} {check.id}: {check.message}")


if __name__ == "__main__":
    main()
