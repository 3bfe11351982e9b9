"""``simulate`` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from tests.cli.conftest import homodyne


def test_speckles_are_drawn_and_their_pixels_counted(folder: Path) -> None:
    done = homodyne(
        "simulate", "config.yaml", "-o", "speckles.h5", "--frames", "30", "--phi", "0,40",
        "--speckles", "300", "--counts", "2", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "300 speckles per angle, 2 photons per speckle and frame" in done.stderr
    with h5py.File(folder / "speckles.h5") as file:
        pixels = np.bincount(file["/xpcs/qmap/dynamic_roi_map"][:].ravel())
        c2 = file["/xpcs/twotime/correlation_map/c2_00001"][:]
    np.testing.assert_array_equal(pixels, [0, 300, 300])
    # Photons alone: a standard deviation of 1 / (counts sqrt(speckles)) = 0.03 at long lags.
    tail = c2[np.triu_indices(30, 20)]
    assert 0.02 < tail.std() < 0.06


def test_counts_without_speckles_are_refused(folder: Path) -> None:
    done = homodyne("simulate", "config.yaml", "-o", "no.h5", "--counts", "2", cwd=folder)
    assert done.returncode == 2
    assert "--speckles" in done.stderr
    assert not (folder / "no.h5").exists()


def test_scaling_of_other_angles_is_refused(folder: Path) -> None:
    config = folder / "config.yaml"
    text = config.read_text()
    assert text.count("#contrast: null") == 1
    config.write_text(text.replace("#contrast: null", "contrast: [0.1, 0.2, 0.3]"))
    done = homodyne("simulate", "config.yaml", "-o", "no.h5", "--phi", "0,40", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "contrast has 3 values for 2 angles" in done.stderr
