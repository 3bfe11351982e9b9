"""Writers that imitate the facilities' own files, independent of the package's writers.

Every map is recognisable: `one_map` depends on its ring and angle, so that a map that lands
at the wrong place is seen.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = float | Sequence[float] | Array
Half = Literal["upper", "lower", "full", "upper-nan", "lower-nan"]


def one_map(n: int, ring: int, angle: int) -> Array:
    """Return a symmetric (n, n) map with a raw (high) diagonal, peculiar to ring and angle."""
    noise = np.random.default_rng([ring, angle, n]).normal(0.0, 1e-3, (n, n))
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    c2 = 1.0 + 0.1 * (ring + 1) + 0.01 * angle + 0.2 * np.exp(-lag / 5.0) + noise
    c2 = np.triu(c2, 1)
    return c2 + c2.T + np.diag(np.full(n, 1.9))


def stored(c2: Array, half: Half) -> Array:
    """Return a map as a file stores it."""
    filled: Array
    if half == "full":
        return c2
    filled = np.triu(c2) if half.startswith("upper") else np.tril(c2)
    if half.endswith("nan"):
        empty = np.tri(len(c2), k=-1, dtype=bool)
        filled[empty if half.startswith("upper") else empty.T] = np.nan
    return filled


def above(c2: NDArray[np.floating]) -> Array:
    """Return the values i < j of one map or of a stack."""
    rows, columns = np.triu_indices(c2.shape[-1], 1)
    return np.asarray(c2[..., rows, columns], dtype=np.float64)


@dataclass
class Grid:
    """A q-phi partition; bins in `masked` (ring, angle) have no pixels."""

    q: Sequence[float] = (0.0054, 0.0062)
    phi: Sequence[float] = (-30.0, 0.0, 45.0)
    masked: Sequence[tuple[int, int]] = ()
    n: int = 14
    natural: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.natural = [
            (iq, ip)
            for iq in range(len(self.q))
            for ip in range(len(self.phi))
            if (iq, ip) not in self.masked
        ]

    def expected(self, ring: int, angles: Sequence[int], low: int = 1) -> Array:
        """Return the values i < j of the fitted frames of one ring."""
        return np.array([above(one_map(self.n, ring, ip)[low:, low:]) for ip in angles])


def aps_u(
    path: Path,
    grid: Grid,
    *,
    half: Half = "upper",
    names: str = "c2_{:05d}",
    only: Sequence[int] | None = None,
    units: Sequence[str] = ("1/A", "degree"),
    q_scale: float = 1.0,
    phi_first: bool = False,
    text: Literal["bytes", "str", "fixed"] = "bytes",
    frame_time: float | None = 0.05,
    stride: int = 1,
    average: int = 1,
) -> Path:
    """Write as the correlator of APS-U does: maps numbered in turn, bins compressed.

    `only` selects processed bins, counted from 1 among those with pixels.
    """
    q, phi = np.array(grid.q) * q_scale, np.array(grid.phi)
    shape = (len(phi), len(q)) if phi_first else (len(q), len(phi))
    places = [(ip, iq) if phi_first else (iq, ip) for iq, ip in grid.natural]
    mapping = sorted(np.ravel_multi_index(place, shape) for place in places)
    processed = list(only) if only is not None else list(range(1, len(mapping) + 1))
    texts = ["phi", "q"] if phi_first else ["q", "phi"]
    ordered_units = list(units)[::-1] if phi_first else list(units)
    with h5py.File(path, "w") as file:
        for number, b in enumerate(processed, start=1):
            first, second = np.unravel_index(mapping[b - 1], shape)
            iq, ip = (int(second), int(first)) if phi_first else (int(first), int(second))
            file.create_dataset(
                f"/xpcs/twotime/correlation_map/{names.format(number)}",
                data=stored(one_map(grid.n, iq, ip), half).astype(np.float32),
                compression="lzf",
            )
        file["/xpcs/twotime/processed_bins"] = np.array(processed, dtype=np.int64)
        file["/xpcs/twotime/config/stride_frame"] = stride
        file["/xpcs/twotime/config/avg_frame"] = average
        file["/xpcs/twotime/normalized_g2"] = np.ones((grid.n, len(processed)))
        file["/xpcs/qmap/dynamic_v_list_dim0"] = phi if phi_first else q
        file["/xpcs/qmap/dynamic_v_list_dim1"] = q if phi_first else phi
        file["/xpcs/qmap/dynamic_num_pts"] = np.array(shape)
        file["/xpcs/qmap/dynamic_index_mapping"] = np.array(mapping, dtype=np.uint8)
        for name, values in (("map_names", texts), ("map_units", ordered_units)):
            if text == "str":
                file[f"/xpcs/qmap/{name}"] = values
            elif text == "fixed":
                file[f"/xpcs/qmap/{name}"] = np.array([v.encode() for v in values], dtype="S16")
            else:
                encoded = np.array([v.encode() for v in values], dtype=object)
                file.create_dataset(
                    f"/xpcs/qmap/{name}", data=encoded, dtype=h5py.string_dtype("utf-8")
                )
        if frame_time is not None:
            file["/entry/instrument/detector_1/frame_time"] = frame_time
            file["/entry/instrument/detector_1/count_time"] = frame_time * 0.9
        file["/entry/start_time"] = b"2024-05-01 10:00:00"
    return path


def aps_legacy(
    path: Path,
    grid: Grid,
    *,
    half: Half = "upper",
    names: Literal["g2_{:05d}", "C2T_{:05d}", "g2_{:d}"] = "g2_{:05d}",
    by_bin: bool = False,
    bins_list: Literal["full", "stale", "none"] = "full",
    q_jitter: float = 0.0,
    grid_sizes: bool = True,
    period: float = 0.02,
    stride: int = 1,
    average: int = 1,
    root: str = "/exchange",
) -> Path:
    """Write as the tools of 8-ID-I did: (1, nbins) lists with NaN for bins without pixels."""
    n_phi = len(grid.phi)
    bins = [iq * n_phi + ip + 1 for iq, ip in grid.natural]
    dqlist = np.full((1, len(grid.q) * n_phi), np.nan)
    dphilist = dqlist.copy()
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        for number, (b, (iq, ip)) in enumerate(zip(bins, grid.natural, strict=True), start=1):
            dqlist[0, b - 1] = grid.q[iq] * (1 + q_jitter * rng.uniform(-1, 1))
            dphilist[0, b - 1] = grid.phi[ip]
            file.create_dataset(
                f"{root}/C2T_all/{names.format(b if by_bin else number)}",
                data=stored(one_map(grid.n, iq, ip), half).astype(np.float32),
                compression="gzip",
            )
        file["/xpcs/dqlist"], file["/xpcs/dphilist"] = dqlist, dphilist
        if grid_sizes:
            file["/xpcs/dnoq"] = np.array([[float(len(grid.q))]])
            file["/xpcs/dnophi"] = np.array([[float(n_phi)]])
        if bins_list != "none":
            listed = bins if bins_list == "full" else [1]
            file["/xpcs/qphi_bin_to_process"] = np.array(listed, dtype=np.uint64)[:, np.newaxis]
        file["/xpcs/analysis_type"] = b"Twotime"
        file["/xpcs/output_data"] = root.encode()
        file["/xpcs/stride_frames"] = np.array([[stride]], dtype=np.uint64)
        file["/xpcs/avg_frames"] = np.array([[average]], dtype=np.uint64)
        detector = "/measurement/instrument/detector"
        file[f"{detector}/exposure_period"] = np.array([[period]])
        file[f"{detector}/exposure_time"] = np.array([[period * 0.8]])
    return path


def nxxpcs(
    path: Path,
    grid: Grid,
    *,
    storage: str | None = "one_array_q_first",
    layout: Literal["first", "last", "keys"] = "first",
    half: Half = "upper",
    populated: str | None = "upper_half",
    units: str = "1/angstrom",
    q_scale: float = 1.0,
    origin: str = "upper_left",
    backwards: bool = False,
    baseline: int = 1,
    skip_bins: Sequence[int] = (),
) -> Path:
    """Write as the NXxpcs definition has it; `skip_bins` (from 1) are not stored as keys."""
    maps = [stored(one_map(grid.n, iq, ip) - 1 + baseline, half) for iq, ip in grid.natural]
    if backwards:
        maps = [one[::-1] for one in maps]
    signal = "/entry/twotime/two_time_corr_func"
    with h5py.File(path, "w") as file:
        file["/entry/definition"] = "NXxpcs"
        if layout == "keys":
            for b, one in enumerate(maps, start=1):
                if b not in skip_bins:
                    file[f"{signal}/{b}"] = one
        else:
            file[signal] = np.stack(maps, axis=0 if layout == "first" else 2)
        node = file[signal]
        for key, value in (
            ("storage_mode", storage),
            ("populated_elements", populated),
            ("time_origin_location", origin),
        ):
            if value is not None:
                node.attrs[key] = value
        node.attrs["baseline_reference"] = baseline
        masks = "/entry/instrument/masks"
        file[f"{masks}/dynamic_q_list"] = np.array([grid.q[iq] for iq, _ in grid.natural]) * q_scale
        file[f"{masks}/dynamic_q_list"].attrs["units"] = units
        file[f"{masks}/dynamic_phi_list"] = np.array([grid.phi[ip] for _, ip in grid.natural])
        file[f"{masks}/dynamic_phi_list"].attrs["units"] = units
        file["/entry/instrument/detector/frame_time"] = 20.0
        file["/entry/instrument/detector/frame_time"].attrs["units"] = "ms"
    return path


def homodyne_cache(path: Path, grid: Grid, *, dt: float = 0.1, mesh: bool = False) -> Path:
    """Write a cache of homodyne 2.x: full float64 maps with an interpolated diagonal."""
    t = np.linspace(0.0, dt * (grid.n - 1), grid.n)
    t1, t2 = np.meshgrid(t, t, indexing="ij") if mesh else (t, t)
    np.savez_compressed(
        path,
        c2_exp=np.array([one_map(grid.n, iq, ip) for iq, ip in grid.natural]),
        t1=t1,
        t2=t2,
        wavevector_q_list=np.array([grid.q[iq] for iq, _ in grid.natural]),
        phi_angles_list=np.array([grid.phi[ip] for _, ip in grid.natural]),
        cache_metadata=np.array({"cache_version": "2.0"}, dtype=object),
    )
    return path


def plain(
    path: Path, c2: Array, numbers: Mapping[str, Numbers] | None = None, *, attributes: bool = False
) -> Path:
    """Write `c2` and the given numbers as plain HDF5, or as npz by the suffix."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            for key, value in {"c2": c2, **(numbers or {})}.items():
                with archive.open(f"{key}.npy", "w") as stream:
                    np.save(stream, np.asarray(value))
        return path
    with h5py.File(path, "w") as file:
        file["c2"] = c2
        for key, value in (numbers or {}).items():
            if attributes:
                file.attrs[key] = value
            else:
                file[key] = value
    return path
