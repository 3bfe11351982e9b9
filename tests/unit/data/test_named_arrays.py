"""Arrays of no known layout, named by the config; frames with a time of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.inputs.examine import examine
from homodyne_cli.core.maps.pair_noise import estimate_sigma
from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import DataSelection, FitProblem
from tests.support.datasets import RESOLVED, make_dataset

DATA = make_dataset(40, 3, noise=0.01, gap=None, parameters=RESOLVED[:3])
C2 = np.pad(np.array(DATA.array), ((0, 0), (1, 0), (1, 0)), constant_values=1.2)
PHI = tuple(DATA.phi.tolist())


def test_npy_is_read_with_what_the_config_says(tmp_path: Path) -> None:
    np.save(tmp_path / "c2.npy", C2)
    selection = DataSelection(tmp_path / "c2.npy", q=0.0054, dt=0.1, phi=PHI)
    data = read_dataset(selection, "static")
    np.testing.assert_array_equal(data.array, C2[:, 1:, 1:])
    assert (tuple(data.phi), data.q[0], data.dt) == (PHI, 0.0054, 0.1)
    assert data.provenance["phi"].source.endswith("experimental_data.phi")
    for missing, said in (({"q": None}, "no wave vector"), ({"dt": None}, "no frame interval"),
                          ({"phi": PHI[:2]}, "2 angles")):  # fmt: skip
        with pytest.raises(DataError, match=said):
            read_dataset(replace(selection, **missing), "static")


@pytest.mark.parametrize("axis", ["first", "last"])
@pytest.mark.parametrize("kind", ["h5", "npz"])
def test_any_array_is_read_by_its_name(tmp_path: Path, kind: str, axis: str) -> None:
    path, c2 = tmp_path / f"a.{kind}", C2 if axis == "first" else np.moveaxis(C2, 0, -1)
    if kind == "npz":
        np.savez(path, maps=c2, phi=PHI, q=0.0054, dt=0.1)
    else:
        with h5py.File(path, "w") as file:
            group = file.create_group("scan/7")
            group.update({"maps": c2, "phi": PHI, "q": 0.054, "dt": 0.1})
            group["q"].attrs["units"] = "1/nm"
    name = "maps" if kind == "npz" else "/scan/7/maps"
    selection = DataSelection(path, dataset=name, angle_axis=axis)  # type: ignore[arg-type]
    data = read_dataset(selection, "static")
    np.testing.assert_array_equal(data.array, C2[:, 1:, 1:])
    assert data.q[0] == pytest.approx(0.0054)
    with pytest.raises(DataError) as refused:
        read_dataset(replace(selection, dataset="none"), "static")
    assert refused.value.code is Code.LAYOUT


def plain(path: Path, **more: object) -> DataSelection:
    contents: Mapping[str, object] = {"c2": C2, "phi": PHI, "q": 0.0054, "dt": 0.1, **more}
    np.savez(path, **contents)  # type: ignore[arg-type]
    return DataSelection(path)


def test_time_stamps_of_dropped_frames_are_the_times(tmp_path: Path) -> None:
    kept = np.r_[0:15, 22:33, 34:41]
    gaps = C2[:, kept][:, :, kept]
    data = read_dataset(plain(tmp_path / "a.npz", c2=gaps, t=kept * 0.1), "static")
    np.testing.assert_allclose(data.t, kept[1:] * 0.1)
    assert data.dt == pytest.approx(0.1)
    findings = {finding.code: finding for finding in examine(data, FitProblem("static"))}
    assert "2 of 31 steps" in findings[Code.UNEVEN_TIMES].message
    result = fit(data, FitProblem("static"))
    errors = [p.uncertainty for p in result.parameters]
    pulls = (result.values - RESOLVED[:3]) / errors
    assert np.abs(pulls).max() < 4.0
    assert result.reduced_chi2 == pytest.approx(1.0, abs=0.3)


def test_lost_frames_are_no_noise() -> None:
    """Neighbours on either side of a gap differ by the decay, which is not noise."""
    fast = np.array([15000.0, -0.3, 500.0, 4e-4, 0.2, 1e-4, 4.0])
    whole = make_dataset(130, 4, noise=0.01, parameters=fast)
    kept = np.r_[0:40, 60:110, 112:130]
    gaps = replace(whole, c2=whole.array[:, kept][:, :, kept], t=whole.t[kept])
    # Differences, of which neighbours share terms, know sigma to 1.7%; four angles to 0.9%.
    assert np.mean(estimate_sigma(gaps)) == pytest.approx(0.01, rel=0.035)
    counted = estimate_sigma(replace(gaps, t=whole.t[: len(kept)]))
    assert np.mean(counted) > 1.02 * np.mean(estimate_sigma(gaps))


def test_even_time_stamps_only_state_dt(tmp_path: Path) -> None:
    jitter = np.arange(41) * 0.1 + np.random.default_rng(0).uniform(0.0, 0.004, 41)
    data = read_dataset(plain(tmp_path / "a.npz", t=jitter), "static")
    np.testing.assert_array_equal(data.t, np.arange(1, 41) * 0.1)
    np.savez(tmp_path / "b.npz", c2=C2, phi=PHI, q=0.0054, t=np.arange(41) * 0.2)
    assert read_dataset(DataSelection(tmp_path / "b.npz"), "static").dt == pytest.approx(0.2)


def test_times_that_go_back_are_refused(tmp_path: Path) -> None:
    times = np.arange(41) * 0.1
    times[20] = 0.0
    with pytest.raises(DataError, match="frame 21 is not after that of frame 20"):
        read_dataset(plain(tmp_path / "a.npz", t=times), "static")


@pytest.mark.parametrize(("noise", "step"), [(0.003, 0.01), (0.0005, 0.01), (0.02, 0.01)])
def test_rounding_bounds_the_noise_from_below(noise: float, step: float) -> None:
    exact = make_dataset(80, 2, noise=noise, parameters=RESOLVED)
    sigma = estimate_sigma(replace(exact, c2=np.asarray(np.round(exact.array, 2), dtype=float)))
    least, together = step / np.sqrt(12.0), np.sqrt(noise**2 + step**2 / 12.0)
    assert np.all(sigma >= 0.999 * least)
    np.testing.assert_allclose(sigma, together, rtol=0.25)
