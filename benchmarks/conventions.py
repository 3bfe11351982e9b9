"""Find which convention returns the strain and displacement that particles really had.

Particle data (``tests/support/particles.py``) are fitted with both conventions. Compared with the
truth: the strain G and the mean-square displacement A that the fitted rates accumulate over the
window, each with its convention's own integral, and the sum of squares that is left. Single
realisations show what one measurement would report; the mean map of all realisations has less
noise, so that what is left there is mostly the fault of the model.

Run from the top of the repository:

    python -m benchmarks.conventions [--realisations 40]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from homodyne_cli.core.model.pair_model import fitted_maps
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES, Convention
from homodyne_cli.render.pictures.heatmaps import displayed
from tests.support.conventions import CONVENTIONS, Outcome, fit_both
from tests.support.particles import (
    GEOMETRIES,
    ParticleExperiment,
    particle_dataset,
    true_integrals,
)

ROOT: Final = Path(__file__).parents[1]
_DRAWN: Final = "three angles"


@dataclass(frozen=True)
class Study:
    """All fits of one geometry: per realisation, and of the mean map."""

    experiment: ParticleExperiment
    single: tuple[Mapping[Convention, Outcome], ...]
    mean_data: Dataset
    pooled: Mapping[Convention, Outcome]


def study(experiment: ParticleExperiment, seeds: Sequence[int]) -> Study:
    """Simulate and fit every seed, and the mean of their maps."""
    data = [particle_dataset(experiment, seed) for seed in seeds]
    mean = replace(data[0], c2=np.mean([d.array for d in data], axis=0))
    return Study(
        experiment=experiment,
        single=tuple(fit_both(experiment, d) for d in data),
        mean_data=mean,
        pooled=fit_both(experiment, mean),
    )


def figures(found: Study) -> dict[str, object]:
    """Return the figures of a study as plain data."""
    experiment = found.experiment
    A, G = true_integrals(experiment)
    table: dict[str, object] = {
        "realisations": len(found.single),
        "speckles_per_angle": experiment.n_speckles,
        "particles_per_speckle": experiment.n_particles,
        "true_strain": float(G[-1]),
        "true_displacement_A2": float(A[-1]),
        "true_parameters": dict(zip(NAMES, experiment.truth, strict=True)),
    }
    for convention in CONVENTIONS:
        strain = np.array([s[convention].strain for s in found.single])
        moved = np.array([s[convention].displacement for s in found.single])
        cost = np.array([s[convention].chi2 / s["he2024"].chi2 for s in found.single])
        at = found.pooled[convention]
        table[convention] = {
            "converged": sum(s[convention].result.converged for s in found.single),
            "strain_ratio": _spread(strain),
            "displacement_ratio": _spread(moved),
            "cost_over_he2024": _spread(cost),
            "mean_map": {
                "strain_ratio": at.strain,
                "displacement_ratio": at.displacement,
                "cost_over_he2024": at.chi2 / found.pooled["he2024"].chi2,
                "parameters": {p.name: p.value for p in at.result.parameters},
            },
        }
    return table


def _spread(values: FloatArray) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "standard_deviation": float(values.std(ddof=1)),
        "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))),
    }


def print_study(name: str, found: Study) -> None:
    """Print one geometry as a table."""
    e = found.experiment
    print(f"{name}: {len(e.phi)} angles x {e.n_frames} frames, {len(found.single)} realisations")
    print(f"  {'':28s}{'strain / true':>18s}{'MSD / true':>18s}{'cost / he2024':>18s}")
    for convention in CONVENTIONS:
        rows = [
            (
                s[convention].strain,
                s[convention].displacement,
                s[convention].chi2 / s["he2024"].chi2,
            )
            for s in found.single
        ]
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
        cells = "".join(f"{m:9.3f} +- {s:5.3f}" for m, s in zip(mean, spread, strict=True))
        print(f"  {convention + ', one realisation':28s}{cells}")
        at, reference = found.pooled[convention], found.pooled["he2024"]
        pooled = (at.strain, at.displacement, at.chi2 / reference.chi2)
        print(f"  {convention + ', mean map':28s}{''.join(f'{v:18.3f}' for v in pooled)}")


def draw(found: Study, path: Path, angle: int = 0) -> None:
    """Draw maps, a cut and its residuals at one angle of the mean map."""
    data = found.mean_data
    fits = {
        c: fitted_maps(data, o.result.values, o.result.contrast, o.result.offset, c)
        for c, o in found.pooled.items()
    }
    figure = Figure(figsize=(12.0, 8.2), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 6)
    _draw_maps(
        figure,
        [figure.add_subplot(grid[0, 2 * k : 2 * k + 2]) for k in range(3)],
        {"particles": data.c2[angle], **{c: m[angle] for c, m in fits.items()}},
        data.t,
    )
    lag = data.t[1:] - data.t[0]
    cut, left = figure.add_subplot(grid[1, :3]), figure.add_subplot(grid[1, 3:])
    cut.plot(lag, data.array[angle, 0, 1:], "k.", label="particles")
    left.axhline(0.0, color="k", linewidth=0.8)
    for (convention, maps), style in zip(fits.items(), ("-", "--"), strict=True):
        ratio = found.pooled[convention].strain
        cut.plot(lag, maps[angle, 0, 1:], style, label=f"{convention}: strain {ratio:.2f} x true")
        residual = np.asarray(data.c2[angle] - maps[angle], dtype=float)
        mean = [float(np.diagonal(residual, k).mean()) for k in range(1, len(data.t))]
        left.plot(lag, mean, style, marker=".", label=convention)
    cut.set(title="cut along t2 at the first frame", xlabel="t2 - t1 (s)", ylabel="c2")
    left.set(
        title="particles minus fit, mean over ages", xlabel="t2 - t1 (s)", ylabel="residual c2"
    )
    cut.legend()
    left.legend()
    speckles = len(found.single) * found.experiment.n_speckles
    figure.suptitle(f"phi = {data.phi[angle]:.0f}°, {speckles} speckles, no c2 model in the data")
    figure.savefig(path)


def _draw_maps(
    figure: Figure, panels: Sequence[Axes], maps: Mapping[str, np.ndarray], t: FloatArray
) -> None:
    shown = {name: displayed(values, len(t)) for name, values in maps.items()}
    low, high = np.nanpercentile(np.array(list(shown.values())), [0.5, 99.5])
    for panel, (name, values) in zip(panels, shown.items(), strict=True):
        image = panel.imshow(
            values, origin="lower", extent=(t[0], t[-1], t[0], t[-1]), vmin=low, vmax=high
        )
        panel.set(title=name, xlabel="t2 (s)", ylabel="t1 (s)")
    figure.colorbar(image, ax=list(panels), label="c2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--realisations", type=int, default=40)
    options = parser.parse_args()
    answer: dict[str, object] = {}
    for name, experiment in GEOMETRIES.items():
        found = study(experiment, range(options.realisations))
        print_study(name, found)
        answer[name] = figures(found)
        if name == _DRAWN:
            draw(found, ROOT / "docs" / "conventions.png")
    path = ROOT / "benchmarks" / "results" / "conventions.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
