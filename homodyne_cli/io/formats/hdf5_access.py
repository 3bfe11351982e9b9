"""Read numbers and texts from an HDF5 file with errors that name the file and the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError

AnyArray = NDArray[np.generic]

_COPY_AGAIN: Final = "copy it again from its source: the copy or the correlation may not have ended"


@dataclass(frozen=True)
class Hdf5File:
    """An open HDF5 file."""

    path: Path
    handle: h5py.File

    def has(self, name: str) -> bool:
        """Return whether a group or dataset of that name can be reached."""
        return name in self.handle

    def is_dataset(self, name: str) -> bool:
        """Return whether the name leads to a dataset."""
        return isinstance(self.handle.get(name), h5py.Dataset)

    def is_group(self, name: str) -> bool:
        """Return whether the name leads to a group."""
        return isinstance(self.handle.get(name), h5py.Group)

    def members(self, name: str = "/") -> tuple[str, ...]:
        """Return the names in a group, sorted as text; none if it is not a group."""
        group = self.handle.get(name)
        return tuple(sorted(group)) if isinstance(group, h5py.Group) else ()

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset; empty for a scalar or an empty dataset."""
        shape = self.handle[name].shape
        return () if shape is None else tuple(int(n) for n in shape)

    def dtype(self, name: str) -> np.dtype[np.generic]:
        """Return the element type of a dataset."""
        dtype: np.dtype[np.generic] = self.handle[name].dtype
        return dtype

    def missing(self, name: str, why: str) -> DataError:
        """Return the error for a dataset that is not there, naming its neighbours."""
        parent = name.rsplit("/", 1)[0] or "/"
        found = ", ".join(self.members(parent)[:20]) or "nothing"
        return DataError(f"missing; {parent} holds {found}", path=self.path, dataset=name, hint=why)

    def numbers(self, name: str) -> FloatArray | None:
        """Return a dataset or root attribute as a flat float64 array, None if there is none.

        Raises
        ------
        DataError
            The values are not numbers.
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
        node = self.handle.get(name)
        if node is None or key not in node.attrs:
            return None
        values = np.asarray(node.attrs[key]).ravel()
        return _text(values.tolist()[0]) if values.size else None

    def _values(self, name: str) -> AnyArray | None:
        node = self.handle.get(name)
        if isinstance(node, h5py.Dataset):
            if node.shape is None:
                return None
            with _damage_named(self.path, name):
                return np.asarray(node[()])
        key = name.removeprefix("/")
        if node is None and key in self.handle.attrs:
            return np.asarray(self.handle.attrs[key])
        return None

    def block(
        self, name: str, index: tuple[slice | int, ...], dtype: np.dtype[np.generic]
    ) -> MapArray:
        """Return a part of a dataset, and only that part, in native byte order."""
        with _damage_named(self.path, name):
            part: MapArray = np.asarray(self.handle[name][index], dtype=dtype)
        return part

    def outline(self, depth: int = 4, limit: int = 60) -> list[str]:
        """Return one line per group or dataset: path, shape and type."""
        lines: list[str] = []
        for line in self._walk(self.handle, depth):
            if len(lines) == limit:
                lines.append("...")
                break
            lines.append(line)
        return lines

    def _walk(self, group: h5py.Group, depth: int) -> Iterator[str]:
        for key in group:
            node = group.get(key)
            if isinstance(node, h5py.Dataset):
                yield f"{node.name} {node.shape} {node.dtype}"
            elif isinstance(node, h5py.Group):
                yield f"{node.name}/ ({len(node)})"
                if depth > 1 and len(node) <= 50:
                    yield from self._walk(node, depth - 1)


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
    try:
        handle = h5py.File(path, "r")
    except BlockingIOError as error:
        raise DataError(
            "locked by another program that has it open for writing",
            path=path,
            hint="wait until that program closes the file, or copy the file and read the copy",
        ) from error
    except OSError as error:
        raise DataError(_reason(error), path=path, hint=_COPY_AGAIN) from error
    with handle:
        yield Hdf5File(path, handle)


@contextmanager
def _damage_named(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"damaged: {error}", path=path, dataset=name, hint=_COPY_AGAIN) from error


def _reason(error: OSError) -> str:
    text = str(error)
    if "truncated file" in text:
        return f"truncated HDF5 file ({text.partition('truncated file: ')[2].rstrip(')')})"
    return f"cannot be read as HDF5: {text}"


def first_scalar(file: Hdf5File, names: Iterable[str]) -> tuple[float, str] | None:
    """Return the first of the named numbers that is there, and its name."""
    for name in names:
        value = file.scalar(name)
        if value is not None:
            return value, name
    return None
