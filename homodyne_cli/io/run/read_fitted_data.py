"""Reading ``fitted_data.h5``: nothing is read before its shape and size are known to be right.

Run as a program it is the trial of such a file (`io.maps.trial`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, MapSource, Provenance
from homodyne_cli.errors import HomodyneError
from homodyne_cli.io.formats.guard import guarded
from homodyne_cli.io.formats.hdf5_access import Hdf5File, float_type, open_hdf5
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.io.maps.trial import limit_trial, trial_by
from homodyne_cli.io.run.arrays import FITTED_DATA, ArrayChecker, ArrayEntry
from homodyne_cli.io.run.fields import SCHEMA_VERSION


@dataclass(frozen=True)
class FittedData:
    """What was fitted, and the scaling of the fit."""

    dataset: Dataset
    contrast: FloatArray
    offset: FloatArray


def read_fitted_data(path: Path, memory: MemoryBudget | None, held: ExitStack) -> FittedData:
    """Read the data of a run.

    Parameters
    ----------
    memory
        Maps that need more than its budget stay on disk, until `held` is closed. None: no limit.

    Raises
    ------
    DataError
        If the file is damaged, or an array is missing or not as the table says.
    UsageError
        If the budget is too small to work from disk.
    """
    with open_hdf5(path) as file:
        return _Reader(file, file.files.open(path), ArrayChecker(path)).read(memory, held)


def trial_of_fitted_data(path: Path) -> AbstractContextManager[Callable[[], None]]:
    """Start the trial of such a file and yield the function that waits for it."""
    return trial_by(__name__, path)


@dataclass(frozen=True)
class _Reader:
    """Reads one file through the door to data files, but follows no link out of it."""

    door: Hdf5File
    file: h5py.File
    checker: ArrayChecker

    def read(self, memory: MemoryBudget | None, held: ExitStack) -> FittedData:
        self._check_version()
        phi, t = self._vector("phi"), self._vector("t")
        self.checker.check_times("t", t)
        gap = self._vector("stator_rotor_gap") if self._is_there("stator_rotor_gap") else None
        per_pair = self._is_there("sigma_map")
        sigma = self._vector("sigma")
        dataset = Dataset(
            c2=self._maps(memory, held, per_pair=per_pair),
            phi=phi,
            t=t,
            q=self._wave_vectors(len(phi)),
            gap=None if gap is None else float(gap),
            dt=float(self._vector("dt")),
            sigma=self._sigma_map() if per_pair else sigma,
            provenance={"run": Provenance(str(self.checker.path.parent), "run directory")},
            repeat=self._repeats(),
            pixels=self._vector("pixels") if self._is_there("pixels") else None,
        )
        return FittedData(dataset, self._vector("contrast"), self._vector("offset"))

    def try_all(self) -> None:
        """Read every array but the maps; what is wrong with one is said by who reads it next."""
        for name, entry in FITTED_DATA.items():
            with suppress(HomodyneError):
                _ = self._checked(name) if len(entry.axes) > 1 else self._vector(name)
        self._check_version()

    def _check_version(self) -> None:
        version = self.door.attribute("/", "schema_version")
        if version is not None and version not in map(str, range(SCHEMA_VERSION + 1)):
            said = f"is {version!r:.40}: written by a version that this one does not know"
            raise self.checker.error("schema_version", said)

    def _is_there(self, name: str) -> bool:
        with guarded(self.checker.path, name):
            return self.file.get(name, getlink=True) is not None

    def _checked(self, name: str) -> tuple[h5py.Dataset, ArrayEntry]:
        """Return a dataset of the right shape whose values lie in this file."""
        entry, checker = FITTED_DATA[name], self.checker
        with guarded(checker.path, name):
            link = self.file.get(name, getlink=True)
            node = self.file[name] if isinstance(link, h5py.HardLink) else None
            outside = isinstance(node, h5py.Dataset) and (node.is_virtual or node.external)
        if link is None:
            raise checker.error(name, "missing")
        if node is None:
            raise checker.error(name, "is a link, which may lead out of the run directory")
        if outside:
            raise checker.error(name, "keeps its values in other files")
        if not isinstance(node, h5py.Dataset) or node.shape is None:
            raise checker.error(name, "holds no array")
        stored = self.door.dataset(name)
        checker.check_layout(name, entry, stored.shape, stored.dtype)
        return stored, entry

    def _vector(self, name: str) -> FloatArray:
        stored, entry = self._checked(name)
        values = self.door.block(name, (), stored.dtype)
        return self.checker.check_values(name, entry, np.asarray(values, dtype=float))

    def _wave_vectors(self, n_phi: int) -> FloatArray:
        if self._is_there("q_of_map"):
            return self._vector("q_of_map")
        return np.full(n_phi, self._vector("q"))

    def _repeats(self) -> IndexArray | None:
        if not self._is_there("repeat"):
            return None
        repeat = self._vector("repeat")
        counted = np.unique(repeat)
        if not np.array_equal(counted, np.arange(1, len(counted) + 1)):
            raise self.checker.error("repeat", "is not numbers from 1 that leave none out")
        return repeat.astype(np.intp) - 1

    def _sigma_map(self) -> FloatArray:
        self._checked("sigma_map")
        sigma = np.asarray(self.door.block("sigma_map", (), np.dtype(float)), dtype=float)
        if not (sigma[np.isfinite(sigma)] >= 0.0).all() or np.isinf(sigma).any():
            raise self.checker.error("sigma_map", "holds noise that is negative or infinite")
        return np.where(sigma > 0.0, sigma, np.nan)

    def _maps(
        self, memory: MemoryBudget | None, held: ExitStack, *, per_pair: bool
    ) -> MapArray | MapSource:
        stored, _ = self._checked("c2")
        shape, dtype = stored.shape, float_type(stored.dtype, self.checker.path, "c2")

        def one(angle: int) -> MapArray:
            return self.checker.check_map("c2", angle, self.door.block("c2", (angle,), dtype))

        if memory is None or memory.holds(shape, dtype):
            maps: MapArray = np.empty(shape, dtype)
            for angle in range(len(maps)):
                maps[angle] = one(angle)
            return maps
        memory.check_streaming(shape, dtype, per_pair=per_pair)
        spool = held.enter_context(open_spool(memory.scratch, shape, dtype))
        for angle in range(len(stored)):
            spool.put(one(angle))
        return spool.maps()


def _try(path: Path) -> None:
    limit_trial(path)
    with suppress(HomodyneError), open_hdf5(path) as file:
        _Reader(file, file.files.open(path), ArrayChecker(path)).try_all()


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
