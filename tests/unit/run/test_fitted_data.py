"""Maps written chunk by chunk come back as they were, above the diagonal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.dataset import MapArray
from homodyne_cli.io.run.fitted_data import write_fitted_data
from tests.support.datasets import make_dataset
from tests.support.render_samples import fit_result


@dataclasses.dataclass(frozen=True)
class Shifted:
    """A fitted map: the data and one."""

    c2: MapArray

    def block(self, angle: int, rows: slice, columns: slice) -> MapArray:
        part: MapArray = self.c2[angle, rows, columns] + self.c2.dtype.type(1.0)
        return part


@pytest.mark.parametrize("n", [40, 250, 251, 530])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_maps_come_back(tmp_path: Path, n: int, kind: type[np.floating]) -> None:
    """Smaller than a chunk, one chunk, one frame more, and chunks cut off on both sides."""
    data = make_dataset(n, 2, seed=n)
    c2 = np.asarray(data.c2, dtype=kind)
    c2[1, 3, 7] = np.nan
    data = dataclasses.replace(data, c2=c2, pixels=np.array([12.0, 40.0]))
    path = tmp_path / "fitted_data.h5"
    write_fitted_data(path, data, fit_result(2), Shifted(c2))
    upper = np.triu(np.ones((n, n), dtype=bool), 1)
    with h5py.File(path) as file:
        assert file["c2"].dtype == kind
        assert file["c2"].compression == "gzip"
        assert file["pixels"][...].tolist() == [12.0, 40.0]
        np.testing.assert_array_equal(file["c2"][...][:, upper], c2[:, upper])
        np.testing.assert_array_equal(file["c2_fitted"][...][:, upper], (c2 + kind(1.0))[:, upper])
        assert not file["c2"][...][:, ~upper].any()
