"""The one door to data files: what libraries raise becomes a `DataError` with file and place.

h5py, NumPy and zipfile answer a damaged file with whatever they trip over: `KeyError` for a bad
heap, `RuntimeError` for a loop of links, `TypeError` for a name that is not text, tokenizer errors
for the header of an array. None of it tells the user more than that the file is damaged, so every
access to a file goes through `guarded`; and nothing is read before `check_size` has compared the
size that is declared with what the file can hold.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code

COPY_AGAIN: Final = "copy it again from its source: the copy or the correlation may not have ended"

#: How a file can harm the process that reads it.
ENDLESS: Final = "the HDF5 library finds no end in it"
DEADLY: Final = "it makes the HDF5 library end the process that reads it"


def damaged(path: Path, how: str) -> DataError:
    """Return the error for a file that is damaged in a way that no exception tells."""
    return DataError(f"damaged: {how}", path=path, hint=COPY_AGAIN, code=Code.DAMAGED)


_RAISED: Final = (
    OSError,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    MemoryError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
#: No compression in use makes more of a byte: deflate's limit is 1032, constant maps reach it.
_MOST_PER_BYTE: Final = 2000
#: Declared sizes that no file need account for, such as numbers that were never written.
_NEGLIGIBLE: Final = 1_000_000
#: Of a list of wave vectors, angles, bins or times, in bytes. The longest known have 100,000 bins.
_MOST_IN_LIST: Final = 16_000_000


@contextmanager
def guarded(path: Path, place: str | None = None) -> Iterator[None]:
    """Turn what a library raises over a file into a `DataError`.

    Only calls of a library belong inside, so that no defect of this package is called damage.

    Raises
    ------
    DataError
        A library failed.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except MemoryError as error:
        raise DataError(
            "does not fit into memory, or declares a size that is damaged",
            path=path,
            dataset=place,
            hint="fewer frames or angles, or --memory",
        ) from error
    except _RAISED as error:
        raise DataError(
            f"damaged: {one_line(error)}",
            path=path,
            dataset=place,
            hint=COPY_AGAIN,
            code=Code.DAMAGED,
        ) from error


def one_line(error: BaseException) -> str:
    """Return what an exception says in one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def check_size(declared: int, stored: int, path: Path, place: str, shape: tuple[int, ...]) -> None:
    """Refuse an array that declares more bytes than those stored can be decompressed to.

    Raises
    ------
    DataError
        It does.
    """
    if declared > _NEGLIGIBLE + _MOST_PER_BYTE * stored:
        raise DataError(
            f"declares {shape}, which is {declared:.3g} bytes, but holds {stored}: never written, "
            "or damaged",
            path=path,
            dataset=place,
            hint=COPY_AGAIN,
        )


def check_list(size: int, path: Path, place: str, shape: tuple[int, ...]) -> None:
    """Refuse a list of more bytes than any list of bins, angles or times has.

    Raises
    ------
    DataError
        It is one.
    """
    if size > _MOST_IN_LIST:
        raise DataError(
            f"holds {shape} values where a short list is expected", path=path, dataset=place
        )


def check_regular(path: Path) -> None:
    """Refuse what is there but is not a file, which would be read without end or never.

    Raises
    ------
    DataError
        A directory, a pipe or a device.
    """
    with guarded(path):
        is_directory, is_other = path.is_dir(), path.exists() and not path.is_file()
    if is_directory:
        is_run = (path / "parameters.json").exists()
        hint = f"homodyne show {path}" if is_run else "name the file in it"
        raise DataError("a directory, not a data file", path=path, hint=hint)
    if is_other:
        raise DataError("a pipe or a device, not a data file", path=path)
