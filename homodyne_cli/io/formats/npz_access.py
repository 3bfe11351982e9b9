"""Read arrays from an npz archive or a single npy file, large ones map by map."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.guard import COPY_AGAIN, check_list, check_size, guarded, one_line

_HEADERS: Final = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    # The same but for its text in UTF-8, which names of fields alone can need.
    (3, 0): npy.read_array_header_2_0,
}


@dataclass(frozen=True)
class NpzFile:
    """An open npz archive; streams stay open until the archive is closed."""

    path: Path
    archive: zipfile.ZipFile
    streams: ExitStack

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        files = self.archive.namelist()
        return tuple(name.removesuffix(".npy") for name in files if name.endswith(".npy"))

    def array(self, name: str) -> NDArray[np.generic]:
        """Return a whole array.

        Raises
        ------
        DataError
            It holds Python objects, which are never unpickled.
        """
        return self.stack(name).whole

    def numbers(self, name: str) -> FloatArray | None:
        """Return an array as flat float64, None if there is none of that name."""
        if name not in self.names:
            return None
        stack = self.stack(name)
        check_list(stack.nbytes, self.path, name, stack.shape)
        if stack.dtype.kind not in "fiub":
            raise DataError(f"holds {stack.dtype}, not numbers", path=self.path, dataset=name)
        return np.asarray(stack.whole, dtype=np.float64).ravel()

    def stack(self, name: str) -> NpzStack:
        """Return a reader of the leading slices of an array."""
        with guarded(self.path, name):
            member = self.archive.getinfo(f"{name}.npy")
            stream = self.streams.enter_context(self.archive.open(member))
        check_size(member.file_size, member.compress_size, self.path, name, ())
        return _stack(self.path, name, stream, member.file_size)


@dataclass(frozen=True)
class NpzStack:
    """An array of which one leading slice is held at a time (all of it if Fortran-ordered)."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    stream: IO[bytes]
    start: int
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def as_one(self) -> NpzStack:
        """Return the same data as a stack of one."""
        return replace(self, shape=(1, *self.shape))

    @cached_property
    def whole(self) -> NDArray[np.generic]:
        """The whole array."""
        values = self._read(0, self.nbytes)
        # A stack of one stays what it was: its leading axis is the longest stride either way.
        return values.reshape(self.shape, order="F" if self.fortran else "C")

    def slice(self, index: int) -> NDArray[np.generic]:
        """Return ``array[index]``.

        Raises
        ------
        DataError
            The file ends before the slice does.
        """
        if self.fortran:
            part: NDArray[np.generic] = self.whole[index]
            return part
        size = self.nbytes // self.shape[0]
        return self._read(index * size, size).reshape(self.shape[1:])

    def _read(self, first: int, size: int) -> NDArray[np.generic]:
        # Going forward only decompresses once, however large the archive.
        with guarded(self.path, self.name):
            self.stream.seek(self.start + first)
            data = self.stream.read(size)
        if len(data) != size:
            raise DataError("ends before its last value", path=self.path, dataset=self.name)
        return np.frombuffer(data, dtype=self.dtype)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """Open an npz archive for reading.

    Raises
    ------
    DataError
        It is truncated or damaged.
    """
    with ExitStack() as streams:
        with guarded(path):
            try:
                archive = streams.enter_context(zipfile.ZipFile(path))
            except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
                raise DataError(
                    f"truncated or damaged npz archive: {one_line(error)}",
                    path=path,
                    hint=COPY_AGAIN,
                ) from error
        yield NpzFile(path, archive, streams)


@contextmanager
def open_npy(path: Path) -> Iterator[NpzStack]:
    """Open a file that holds a single array.

    Raises
    ------
    DataError
        It is truncated or damaged.
    """
    with ExitStack() as held:
        with guarded(path):
            stream = held.enter_context(path.open("rb"))
            size = path.stat().st_size
        yield _stack(path, "array", stream, size)


def _stack(path: Path, name: str, stream: IO[bytes], size: int) -> NpzStack:
    """Read the header of an array in a stream of a known size, and check it against that."""
    with guarded(path, name), warnings.catch_warnings():
        # One that Python 2 wrote is read all the same.
        warnings.simplefilter("ignore", UserWarning)
        version = npy.read_magic(stream)
        lengths, fortran, dtype = _HEADERS[version](stream)
        shape = tuple(int(n) for n in lengths)
        start = stream.tell()
    if dtype.hasobject:
        raise DataError("holds Python objects, not numbers", path=path, dataset=name)
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared != size - start:
        raise DataError(
            f"declares {shape} of {dtype}, which is not the {size - start} bytes that it holds",
            path=path,
            dataset=name,
            hint=COPY_AGAIN,
        )
    return NpzStack(path, name, shape, dtype, stream, start, bool(fortran))
