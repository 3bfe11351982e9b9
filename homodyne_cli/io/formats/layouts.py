"""Recognise the layout of a data file by its content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.files.missing import no_file
from homodyne_cli.io.files.suffixes import CONFIG_SUFFIXES
from homodyne_cli.io.formats.aps import read_aps_legacy, read_aps_u
from homodyne_cli.io.formats.guard import check_regular
from homodyne_cli.io.formats.hdf5_access import Hdf5File, open_hdf5
from homodyne_cli.io.formats.npz_access import open_npy, open_npz
from homodyne_cli.io.formats.nxxpcs import find_entry, read_nxxpcs
from homodyne_cli.io.formats.plain import read_npy, read_npz, read_plain_hdf5
from homodyne_cli.io.formats.raw_source import NamedArray, RawSource

ACCEPTED: Final = (
    "a two-time result of APS 8-ID-I (/exchange/C2T_all) or APS-U (/xpcs/twotime), an NXxpcs "
    "file (/entry/twotime/two_time_corr_func), a homodyne 2.x cache npz (c2_exp), or HDF5 or "
    "npz with c2 (n_phi, n, n), phi, q, dt; any array in HDF5, npz or npy with "
    "experimental_data.dataset"
)


_NPY: Final = b"\x93NUMPY"
_APS_U: Final = "/xpcs/twotime/correlation_map"
_OUTPUT: Final = "/xpcs/output_data"


@contextmanager
def open_source(path: Path, named: NamedArray | None = None) -> Iterator[RawSource]:
    """Open a data file of any known layout.

    The source can be read inside of the ``with`` block only.

    Parameters
    ----------
    named
        The array with the maps, in a file of any other layout.

    Raises
    ------
    DataError
        The file is missing, is not HDF5 or npz, is damaged or locked, or has no known layout.
    """
    kind = file_kind(path)
    if kind == "npy":
        with open_npy(path) as stack:
            yield read_npy(stack)
        return
    if kind == "npz":
        with open_npz(path) as archive:
            yield read_npz(archive, named)
        return
    with open_hdf5(path) as file:
        raw = _read_hdf5(file) if named is None else read_plain_hdf5(file, named)
        yield replace(raw, files=tuple(file.files.handles))


def _read_hdf5(file: Hdf5File) -> RawSource:
    entry = find_entry(file)
    legacy = legacy_group(file)
    if file.is_group(_APS_U):
        return read_aps_u(file)
    if legacy is not None:
        return read_aps_legacy(file, legacy)
    if entry is not None:
        return read_nxxpcs(file, entry)
    if file.is_dataset("/c2"):
        return read_plain_hdf5(file)
    # What is there and cannot be reached says why.
    names = file.members("/")
    for name in (_APS_U, *(f"/{name}" for name in names)):
        file.node(name)
    raise _unknown(file, names)


def legacy_group(file: Hdf5File) -> str | None:
    """Return the group of the legacy layout's maps; files may name another than /exchange."""
    declared = file.texts(_OUTPUT) if file.is_dataset(_OUTPUT) else None
    for root in (*(declared or ()), "/exchange"):
        group = f"/{root.strip('/')}/C2T_all"
        if file.is_group(group):
            return group
    return None


def _unknown(file: Hdf5File, names: Sequence[str]) -> DataError:
    shown = ", ".join(names[:20]) or "empty"
    if file.reached("/xpcs/multitau") or file.reached("/exchange/norm-0-g2"):
        return DataError(
            f"a multi-tau result without two-time maps; top level: {shown}",
            path=file.path,
            hint="correlate the series with the two-time method, or name that result",
        )
    return DataError(
        f"no known layout of two-time maps; top level: {shown}",
        path=file.path,
        code=Code.LAYOUT,
        hint=f"accepted: {ACCEPTED}",
    )


def file_kind(path: Path) -> str:
    """Return "hdf5", "npz" or "npy", by the first bytes of the file.

    Raises
    ------
    DataError
        Missing, a directory, not readable, or neither.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            # HDF5 allows a block of the user's own before the signature.
            offset, signature = 512, head
            others = head[:2] == b"PK" or head.startswith(_NPY)
            while signature and signature != b"\x89HDF\r\n\x1a\n" and not others:
                stream.seek(offset)
                signature, offset = stream.read(8), offset * 2
    except FileNotFoundError as error:
        raise no_file(path) from error
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}", path=path) from error
    if head[:2] == b"PK":
        return "npz"
    if head.startswith(_NPY):
        return "npy"
    if signature:
        return "hdf5"
    if path.suffix in CONFIG_SUFFIXES:
        raise DataError(
            "this is a config by its name, not a data file",
            path=path,
            hint=f"homodyne check {path}",
            code=Code.WRONG_KIND,
        )
    raise DataError(
        f"neither HDF5 nor npz: begins with {head!r}" if head else "an empty file",
        path=path,
        code=Code.LAYOUT,
        hint=f"accepted: {ACCEPTED}",
    )
