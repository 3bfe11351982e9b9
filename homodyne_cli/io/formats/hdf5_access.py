"""Read numbers and texts from an HDF5 file with errors that name the file and the dataset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.guard import check_list, guarded
from homodyne_cli.io.formats.hdf5_links import LinkedFiles, Node

AnyArray = NDArray[np.generic]

#: Pixels that a detector may have, and of which labels are read at once.
_MOST_PIXELS, _PIXELS_AT_ONCE = 200_000_000, 4_000_000


@dataclass(frozen=True)
class Hdf5File:
    """An open HDF5 file, and those that its links lead to.

    Attributes
    ----------
    nodes
        What names led to.
    """

    path: Path
    files: LinkedFiles
    nodes: dict[str, Node | None] = field(default_factory=dict)

    def node(self, name: str) -> Node | None:
        """Return the group or dataset of a name, None if there is none.

        Raises
        ------
        DataError
            It cannot be reached, or cannot be read as it stands.
        """
        if name not in self.nodes:
            try:
                place = self.files.find(self.path, name)
                if place is not None and isinstance(place[1], h5py.Dataset):
                    self.files.check(*place)
            except DataError as error:
                if error.path == self.path:
                    raise
                raise DataError(
                    f"needs {error}", path=self.path, dataset=name, hint=error.hint
                ) from error
            self.nodes[name] = None if place is None else place[1]
        return self.nodes[name]

    def reached(self, name: str) -> Node | None:
        """Return the same, and None for what cannot be reached or read either."""
        try:
            return self.node(name)
        except DataError:
            return None

    def is_dataset(self, name: str) -> bool:
        """Return whether the name leads to a dataset that can be read."""
        return isinstance(self.reached(name), h5py.Dataset)

    def is_group(self, name: str) -> bool:
        """Return whether the name leads to a group."""
        return isinstance(self.reached(name), h5py.Group)

    def members(self, name: str = "/") -> tuple[str, ...]:
        """Return the names in a group, sorted as text; none if it is not a group."""
        group = self.node(name)
        if not isinstance(group, h5py.Group):
            return ()
        with guarded(self.path, name):
            return tuple(sorted(_text(key) for key in group))

    def dataset(self, name: str) -> h5py.Dataset:
        """Return a dataset.

        Raises
        ------
        DataError
            There is none, or it cannot be read as it stands.
        """
        node = self.node(name)
        if isinstance(node, h5py.Dataset):
            return node
        if node is None:
            raise self.missing(name, "the file was cut, or its writer failed")
        raise DataError("a group where a dataset is expected", path=self.path, dataset=name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset; empty for a scalar or an empty dataset."""
        dataset = self.dataset(name)
        with guarded(self.path, name):
            return tuple(int(n) for n in dataset.shape or ())

    def dtype(self, name: str) -> np.dtype[np.generic]:
        """Return the element type of a dataset."""
        dataset = self.dataset(name)
        with guarded(self.path, name):
            dtype: np.dtype[np.generic] = dataset.dtype
        return dtype

    def missing(self, name: str, why: str) -> DataError:
        """Return the error for a dataset that is not there, naming its neighbours."""
        parent = name.rsplit("/", 1)[0] or "/"
        held = ", ".join(self.members(parent)[:20]) or "nothing"
        return DataError(f"missing; {parent} holds {held}", path=self.path, dataset=name, hint=why)

    def numbers(self, name: str) -> FloatArray | None:
        """Return a dataset or root attribute as a flat float64 array, None if there is none.

        Raises
        ------
        DataError
            The values are not numbers, or too many for a list.
        """
        values = self._values(name)
        if values is None or values.size == 0:
            return None
        if values.dtype.kind not in "fiub":
            raise DataError(
                f"holds {values.dtype} {values.ravel()[0]!r}, not numbers",
                path=self.path,
                dataset=name,
            )
        return np.asarray(values, dtype=np.float64).ravel()

    def indices(self, name: str) -> NDArray[np.intp] | None:
        """Return the same as whole numbers.

        Raises
        ------
        DataError
            They are not.
        """
        values = self.numbers(name)
        if values is None:
            return None
        whole = np.abs(values) < 2.0**53
        whole[whole] = values[whole] == np.round(values[whole])
        if not whole.all():
            raise DataError(
                f"holds {values[~whole][0]:g} where a whole number is needed",
                path=self.path,
                dataset=name,
            )
        return values.astype(np.intp)

    def scalar(self, name: str) -> float | None:
        """Return the only number of a dataset or attribute, None if there is none.

        Raises
        ------
        DataError
            There are several different numbers.
        """
        values = self.numbers(name)
        if values is None:
            return None
        if not np.all((values == values[0]) | np.isnan(values)):
            raise DataError(
                f"holds {len(values)} values where one is needed",
                path=self.path,
                dataset=name,
            )
        return float(values[0])

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a dataset of strings, however they are stored; None if there is none."""
        values = self._values(name)
        return None if values is None else tuple(_text(item) for item in values.ravel().tolist())

    def attribute(self, name: str, key: str) -> str | None:
        """Return an attribute of a group or dataset as text, None if there is none."""
        node = self.node(name)
        values = None if node is None else self._attribute(node, name, key)
        return None if values is None or not values.size else _text(values.ravel().tolist()[0])

    def _attribute(self, node: Node, name: str, key: str) -> AnyArray | None:
        place = f"{name} attribute {key}"
        with guarded(self.path, place):
            if not h5py.h5a.exists(node.id, key.encode()):
                return None
            stored = h5py.h5a.open(node.id, key.encode())
            # What declares no space at all has no shape.
            shape, dtype = stored.shape, stored.dtype
            size = None if shape is None else math.prod(shape) * dtype.itemsize
        if size is None:
            return None
        check_list(size, self.path, place, shape)
        with guarded(self.path, place):
            return np.asarray(node.attrs[key])

    def _values(self, name: str) -> AnyArray | None:
        node = self.node(name)
        if isinstance(node, h5py.Dataset):
            if node.shape is None:
                return None
            check_list(node.nbytes, self.path, name, node.shape)
            with guarded(self.path, name):
                return np.asarray(node[()])
        root = self.node("/")
        return None if node is not None or root is None else self._attribute(root, "/", name[1:])

    def label_counts(self, name: str, labels: NDArray[np.intp]) -> FloatArray | None:
        """Return how many pixels of a labelled image have each label; None if it does not say.

        Parameters
        ----------
        labels
            (k,) above zero.
        """
        if not self.is_dataset(name) or self.dtype(name).kind not in "iu":
            return None
        shape, most = self.shape(name), int(labels.max())
        if len(shape) != 2 or math.prod(shape) > _MOST_PIXELS:
            return None
        counts = np.zeros(most + 1)
        step = max(_PIXELS_AT_ONCE // max(shape[1], 1), 1)
        for top in range(0, shape[0], step):
            rows = self.block(name, (slice(top, top + step),), np.dtype(np.int64)).ravel()
            known = rows[(rows > 0) & (rows <= most)]
            counts += np.bincount(known.astype(np.intp), minlength=most + 1)
        pixels = counts[labels]
        return pixels if (pixels > 0.0).all() else None

    def block(
        self, name: str, index: tuple[slice | int, ...], dtype: np.dtype[np.generic]
    ) -> MapArray:
        """Return a part of a dataset, and only that part, in native byte order."""
        dataset = self.dataset(name)
        with guarded(self.path, name):
            part: MapArray = np.asarray(dataset[index], dtype=dtype)
        return part


def _text(item: object) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def float_type(dtype: np.dtype[np.generic], path: Path, name: str) -> np.dtype[np.generic]:
    """Return the type that maps are kept in: float32 for floats up to 4 bytes, else float64.

    Raises
    ------
    DataError
        Not real numbers.
    """
    if dtype.kind not in "fiu":
        raise DataError(f"holds {dtype}, not real numbers", path=path, dataset=name)
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    DataError
        It is locked, truncated or damaged.
    """
    with ExitStack() as held:
        files = LinkedFiles(path, held)
        files.open(path)
        yield Hdf5File(path, files)


def first_scalar(file: Hdf5File, names: Iterable[str]) -> tuple[float, str] | None:
    """Return the first of the named numbers that is there, and its name."""
    for name in names:
        value = file.scalar(name)
        if value is not None:
            return value, name
    return None
