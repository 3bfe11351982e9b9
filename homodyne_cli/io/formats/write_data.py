"""Write simulated maps in the layouts of the facilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.io.files.hdf5_output import Hdf5Output, hdf5_output
from homodyne_cli.io.files.outputs import new_file

_COMPRESSION: Final = "lzf"


def write_aps_u(
    path: Path,
    c2: MapArray,
    phi: FloatArray,
    q: float | FloatArray,
    dt: float,
    *,
    frame_start: int = 1,
    pixels: int | None = None,
    force: bool = False,
) -> None:
    """Write maps as APS-U two-time results.

    Like the facility's files: float32, the half above the diagonal with the raw diagonal,
    zeros below. The first frame given becomes frame `frame_start`; what lies before is NaN.
    Read with ``start_frame=frame_start`` the file gives ``c2[:, 1:, 1:]``: the frame at t = 0
    is in the file and is not fitted.

    Parameters
    ----------
    path
        File to make.
    c2
        (n_rings * n_phi, n, n) maps for t = 0, dt, 2 dt, ..., ring by ring; only i <= j is written.
    phi
        (n_phi,) angles in degrees, the same on all rings.
    q
        1/Å of the ring, or of all rings in ascending order, (n_rings,).
    dt
        s.
    frame_start
        Number of the frame at t = 0, from 1.
    pixels
        Detector pixels of every bin, told by a map of the detector in which each bin is a row;
        None for no such map.
    force
        Replace an existing file.

    Raises
    ------
    OutputError
        The file exists, or cannot be written.
    ValueError
        Shapes do not fit together.
    """
    rings = np.atleast_1d(np.asarray(q, dtype=np.float64))
    _check(c2, phi, rings, frame_start)
    with new_file(path, force=force) as made, hdf5_output(made) as out:
        file = out.file
        _write_maps(out, "/xpcs/twotime/correlation_map/c2", _stored_maps(c2, frame_start))
        bins = np.arange(1, len(c2) + 1)
        file["/xpcs/twotime/processed_bins"] = bins
        file["/xpcs/twotime/config/stride_frame"] = 1
        file["/xpcs/twotime/config/avg_frame"] = 1
        file["/xpcs/qmap/dynamic_v_list_dim0"] = rings
        file["/xpcs/qmap/dynamic_v_list_dim1"] = np.asarray(phi, dtype=np.float64)
        file["/xpcs/qmap/dynamic_num_pts"] = np.array([len(rings), len(phi)])
        file["/xpcs/qmap/dynamic_index_mapping"] = bins - 1
        if pixels is not None:
            roi = np.repeat(bins.astype(np.uint32)[:, None], pixels, axis=1)
            file.create_dataset("/xpcs/qmap/dynamic_roi_map", data=roi, compression=_COMPRESSION)
        file["/xpcs/qmap/map_names"] = np.array([b"q", b"phi"])
        file["/xpcs/qmap/map_units"] = np.array([b"1/A", b"degree"])
        file["/entry/instrument/detector_1/frame_time"] = dt
        file["/entry/instrument/detector_1/count_time"] = dt


def write_aps_legacy(
    path: Path,
    c2: MapArray,
    phi: FloatArray,
    q: float | FloatArray,
    dt: float,
    *,
    frame_start: int = 1,
    force: bool = False,
) -> None:
    """Write maps as APS 8-ID-I legacy two-time results; see `write_aps_u`."""
    rings = np.atleast_1d(np.asarray(q, dtype=np.float64))
    _check(c2, phi, rings, frame_start)
    with new_file(path, force=force) as made, hdf5_output(made) as out:
        file = out.file
        _write_maps(out, "/exchange/C2T_all/g2", _stored_maps(c2, frame_start))
        one = np.ones((1, 1), dtype=np.uint64)
        file["/xpcs/Version"] = b"1.0"
        file["/xpcs/analysis_type"] = b"Twotime"
        file["/xpcs/output_data"] = b"/exchange"
        file["/xpcs/dqlist"] = np.repeat(rings, len(phi))[np.newaxis]
        file["/xpcs/dphilist"] = np.tile(np.asarray(phi, dtype=np.float64), len(rings))[np.newaxis]
        file["/xpcs/dnoq"] = np.full((1, 1), float(len(rings)))
        file["/xpcs/dnophi"] = np.full((1, 1), float(len(phi)))
        file["/xpcs/qphi_bin_to_process"] = np.arange(1, len(c2) + 1)
        file["/xpcs/stride_frames"] = one
        file["/xpcs/avg_frames"] = one
        file["/measurement/instrument/detector/exposure_period"] = np.full((1, 1), dt)
        file["/measurement/instrument/detector/exposure_time"] = np.full((1, 1), dt)


def _check(c2: MapArray, phi: FloatArray, rings: FloatArray, frame_start: int) -> None:
    if c2.ndim != 3 or c2.shape[1] != c2.shape[2] or len(c2) != len(phi) * len(rings):
        raise ValueError(f"c2 {c2.shape}, phi {phi.shape} and q {rings.shape} do not fit together")
    if frame_start < 1:
        raise ValueError(f"frame_start {frame_start} is below 1")


def _write_maps(out: Hdf5Output, prefix: str, maps: Iterable[NDArray[np.float32]]) -> None:
    for number, one in enumerate(maps, start=1):
        out.file.create_dataset(f"{prefix}_{number:05d}", data=one, compression=_COMPRESSION)
        out.check()


def _stored_maps(c2: MapArray, frame_start: int) -> Iterator[NDArray[np.float32]]:
    before = frame_start - 1
    size = before + c2.shape[-1]
    for one in c2:
        stored = np.full((size, size), np.nan, dtype=np.float32)
        stored[before:, before:] = one
        yield np.triu(stored)
