"""Recognise the layout of a data file by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.aps import read_aps_legacy, read_aps_u
from homodyne_cli.io.formats.hdf5_access import open_hdf5
from homodyne_cli.io.formats.npz_access import open_npz
from homodyne_cli.io.formats.nxxpcs import find_entry, read_nxxpcs
from homodyne_cli.io.formats.plain import read_npz, read_plain_hdf5
from homodyne_cli.io.formats.raw_source import RawSource

ACCEPTED: Final = (
    "a two-time result of APS 8-ID-I (/exchange/C2T_all) or APS-U (/xpcs/twotime), an NXxpcs "
    "file (/entry/twotime/two_time_corr_func), a homodyne 2.x cache npz (c2_exp), or HDF5 or "
    "npz with c2 (n_phi, n, n), phi, q, dt"
)


@contextmanager
def open_source(path: Path) -> Iterator[RawSource]:
    """Open a data file of any known layout.

    The source can be read inside of the ``with`` block only.

    Raises
    ------
    DataError
        The file is missing, is not HDF5 or npz, is damaged or locked, or has no known layout.
    """
    if file_kind(path) == "npz":
        with open_npz(path) as archive:
            yield read_npz(archive)
        return
    with open_hdf5(path) as file:
        entry = find_entry(file)
        legacy = legacy_group(file.has, file.texts("/xpcs/output_data"))
        if file.is_group("/xpcs/twotime/correlation_map"):
            yield read_aps_u(file)
        elif legacy is not None:
            yield read_aps_legacy(file, legacy)
        elif entry is not None:
            yield read_nxxpcs(file, entry)
        elif file.is_dataset("/c2"):
            yield read_plain_hdf5(file)
        else:
            raise _unknown(path, file.members("/"), file.has)


def legacy_group(has: Callable[[str], bool], declared: tuple[str, ...] | None) -> str | None:
    """Return the group of the legacy layout's maps; files may name another than /exchange."""
    for root in (*(declared or ()), "/exchange"):
        group = f"/{root.strip('/')}/C2T_all"
        if has(group):
            return group
    return None


def _unknown(path: Path, found: Sequence[str], has: Callable[[str], bool]) -> DataError:
    if has("/xpcs/multitau") or has("/exchange/norm-0-g2"):
        return DataError(
            f"a multi-tau result without two-time maps; top level: {', '.join(found)}",
            path=path,
            hint="correlate the series with the two-time method, or name that result",
        )
    return DataError(
        f"no known layout of two-time maps; top level: {', '.join(found[:20]) or 'empty'}",
        path=path,
        hint=f"accepted: {ACCEPTED}",
    )


def file_kind(path: Path) -> str:
    """Return "hdf5" or "npz", by the first bytes of the file.

    Raises
    ------
    DataError
        Missing, a directory, not readable, or neither.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            # HDF5 allows a block of the user's own before the signature.
            offset, found = 512, head
            while found and found != b"\x89HDF\r\n\x1a\n" and head[:2] != b"PK":
                stream.seek(offset)
                found, offset = stream.read(8), offset * 2
    except FileNotFoundError as error:
        raise DataError(
            "no such file",
            path=path,
            hint="correct experimental_data.file_path (relative to the config file)",
        ) from error
    except IsADirectoryError as error:
        raise DataError(
            "a directory, not a data file", path=path, hint="name the file in it"
        ) from error
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}", path=path) from error
    if head[:2] == b"PK":
        return "npz"
    if found:
        return "hdf5"
    raise DataError(
        f"neither HDF5 nor npz: begins with {head!r}" if head else "an empty file",
        path=path,
        hint=f"accepted: {ACCEPTED}",
    )
