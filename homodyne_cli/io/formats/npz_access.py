"""Read arrays from an npz archive, large ones map by map."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import IO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import DataError

_COPY_AGAIN: Final = "copy it again from its source"


#: What NumPy raises on a header that is none, or declares what no memory holds.
_NO_ARRAY: Final = (ValueError, TypeError, SyntaxError, TokenError, OverflowError, MemoryError)
#: What a damaged archive raises, or one that is encrypted.
_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, KeyError, struct.error),
)


@dataclass(frozen=True)
class NpzFile:
    """An open npz archive; streams stay open until the archive is closed."""

    path: Path
    archive: zipfile.ZipFile
    streams: ExitStack

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(n.removesuffix(".npy") for n in self.archive.namelist())

    def array(self, name: str) -> NDArray[np.generic]:
        """Return a whole array.

        Raises
        ------
        DataError
            It holds Python objects, which are never unpickled.
        """
        with _damage_named(self.path, name), self.archive.open(f"{name}.npy") as stream:
            array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
        return array

    def numbers(self, name: str) -> FloatArray | None:
        """Return an array as flat float64, None if there is none of that name."""
        if name not in self.names:
            return None
        values = self.array(name)
        if values.dtype.kind not in "fiub":
            raise DataError(f"holds {values.dtype}, not numbers", path=self.path, dataset=name)
        return np.asarray(values, dtype=np.float64).ravel()

    def stack(self, name: str) -> NpzStack:
        """Return a reader of the leading slices of an array."""
        with _damage_named(self.path, name):
            stream = self.streams.enter_context(self.archive.open(f"{name}.npy"))
            version = npy.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = npy.read_array_header_1_0(stream)
            else:
                shape, fortran, dtype = npy.read_array_header_2_0(stream)
        whole = self.array(name) if fortran else None
        return NpzStack(self, name, shape, dtype, stream, stream.tell(), whole)

    def outline(self) -> list[str]:
        """Return one line per array: name, shape and type."""
        stacks = (self.stack(name) for name in self.names)
        return [f"{s.name} {s.shape} {s.dtype}" for s in stacks]


@dataclass(frozen=True)
class NpzStack:
    """An array of which one leading slice is held at a time (all of it if Fortran-ordered)."""

    file: NpzFile
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    stream: IO[bytes]
    start: int
    whole: NDArray[np.generic] | None

    def as_one(self) -> NpzStack:
        """Return the same data as a stack of one."""
        whole = None if self.whole is None else self.whole[np.newaxis]
        return replace(self, shape=(1, *self.shape), whole=whole)

    def slice(self, index: int) -> NDArray[np.generic]:
        """Return ``array[index]``.

        Raises
        ------
        DataError
            The archive ends before the slice does.
        """
        if self.whole is not None:
            part: NDArray[np.generic] = self.whole[index]
            return part
        shape = self.shape[1:]
        size = self.dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        # Going forward only decompresses once, however large the archive.
        with _damage_named(self.file.path, self.name):
            self.stream.seek(self.start + index * size)
            data = self.stream.read(size)
        if len(data) != size:
            raise DataError(f"ends within map {index + 1}", path=self.file.path, dataset=self.name)
        return np.frombuffer(data, dtype=self.dtype).reshape(shape)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """Open an npz archive for reading.

    Raises
    ------
    DataError
        It is truncated or damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"truncated or damaged npz archive: {error}", path=path, hint=_COPY_AGAIN
        ) from error
    with archive, ExitStack() as streams:
        yield NpzFile(path, archive, streams)


@contextmanager
def _damage_named(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except _NO_ARRAY as error:
        raise DataError(
            f"cannot be read as an array of numbers: {error}", path=path, dataset=name
        ) from error
    except _DAMAGE as error:
        raise DataError(f"damaged: {error}", path=path, dataset=name, hint=_COPY_AGAIN) from error
