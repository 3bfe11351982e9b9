"""HDF5 files that may fail to be written without taking the process with them.

Where a full disk or a quota keeps HDF5 from writing what its caches hold, it cannot close the file,
and the process dies by a signal. So it never hears of an error here: it writes through a Python
file that from the first error on takes everything and keeps nothing, and tells the error when it is
asked and at the end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


class _Sink(io.FileIO):
    """A file whose writing always succeeds as far as HDF5 can see."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+")
        self.error: OSError | None = None

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        rest = memoryview(data)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.error is None:
                return super().truncate(size)
        except OSError as error:
            self.error = error
        return 0

    def check(self) -> None:
        """Raise the error that there was."""
        if self.error is not None:
            raise self.error


class Hdf5Output:
    """A new HDF5 file.

    Attributes
    ----------
    file
        Where to write.
    """

    def __init__(self, file: h5py.File, sink: _Sink) -> None:
        self.file = file
        self._sink = sink

    def check(self) -> None:
        """Raise the error that writing has met so far, so that no more work is done in vain."""
        self._sink.check()


@contextmanager
def hdf5_output(path: Path) -> Iterator[Hdf5Output]:
    """Yield a new HDF5 file.

    Raises
    ------
    OSError
        The file exists, or cannot be written in full.
    """
    with _Sink(path) as sink:
        with h5py.File(sink, "w") as file:
            yield Hdf5Output(file, sink)
        sink.check()
