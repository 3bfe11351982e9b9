"""A fit with its maps: as npz with the names of homodyne 2.x, and as NeXus (NXfit)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np

from homodyne_cli.assessments import SavedFit, StoredRun
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.io.files.hdf5_output import hdf5_output

_FORMULA = (
    "c2(phi, t1, t2) = offset + contrast * exp(-q^2 |A(t2) - A(t1)|) * S(kappa (G(t2) - G(t1)))"
)


def homodyne_2_arrays(run: StoredRun, sigma: FloatArray) -> dict[str, FloatArray]:
    """Return what ``fitted_data.npz`` of homodyne 2.x holds, by its names.

    Maps are whole, mirrored along their diagonal, which is NaN: it is not fitted.

    Parameters
    ----------
    sigma
        (n_phi,) noise that ``residuals_normalized`` is divided by.
    """
    data, solution = run.dataset, run.solution
    frames = np.arange(data.n_frames)
    scaling = np.stack([solution.contrast, solution.offset], axis=1)
    every = np.ones(data.n_phi)

    def fitted(contrast: FloatArray, offset: FloatArray) -> FloatArray:
        vector, convention = solution.vector, run.problem.convention
        with np.errstate(over="ignore", invalid="ignore"):
            maps = model_maps(data, vector, contrast, offset, convention)
            return _whole(maps.selected(frames))

    measured = _whole(data.array)
    scaled = fitted(solution.contrast, solution.offset)
    residuals = measured - scaled
    return {
        "c2_exp": measured,
        "c2_theoretical_raw": fitted(every, 0.0 * every),
        "c2_theoretical_scaled": scaled,
        "c2_solver_scaled": scaled,
        "residuals": residuals,
        "residuals_normalized": residuals / sigma[:, None, None],
        "phi_angles": data.phi,
        "per_angle_scaling": scaling,
        "per_angle_scaling_solver": scaling,
        "t1": data.t,
        "t2": data.t,
        "q": data.rows.rings if len(data.rows.rings) == 1 else data.q,
    }


def _whole(maps: MapArray) -> FloatArray:
    """Mirror pairs i < j."""
    upper = np.triu(np.asarray(maps, dtype=float), 1)
    full: FloatArray = upper + upper.transpose(0, 2, 1)
    frames = np.arange(full.shape[1])
    full[:, frames, frames] = np.nan
    return full


def write_npz(path: Path, fit: SavedFit, run: StoredRun) -> None:
    """Write an npz with the names of homodyne 2.x.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays = homodyne_2_arrays(run, fit.result.sigma)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values)


def write_nexus(path: Path, fit: SavedFit, run: StoredRun) -> None:
    """Write a NeXus file: one NXentry with an NXfit of data, fitted map and parameters.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays, result = homodyne_2_arrays(run, fit.result.sigma), fit.result
    with hdf5_output(path) as out:
        out.file.attrs["default"] = "entry"
        entry = _group(out.file, "entry", "NXentry", default="fit")
        entry["title"] = fit.name
        fitted = _group(entry, "fit", "NXfit", default="data")
        fitted["label"] = "two-time correlation maps"
        axes = ["phi", "t1", "t2"]
        data = _group(fitted, "data", "NXdata", signal="input_dependent", axes=axes)
        maps = {
            "input_dependent": "c2_exp",
            "fit_sum": "c2_theoretical_scaled",
            "residual": "residuals",
        }
        for name, key in maps.items():
            data.create_dataset(name, data=arrays[key], compression=1, shuffle=True)
        for name, key, unit in (("phi", "phi_angles", "degree"), ("t1", "t1", "s"),
                                ("t2", "t2", "s")):  # fmt: skip
            data.create_dataset(name, data=arrays[key]).attrs["units"] = unit
        data.create_dataset("q", data=arrays["q"]).attrs["units"] = "1/angstrom"
        if fit.repeat is not None:
            data["repeat"] = fit.repeat + 1
        function = _group(fitted, "global_fit_function", "NXfit_function")
        function["formula_description"] = _FORMULA
        function["description"] = f"{result.mode}, convention {result.convention}"
        rows = _group(function, "fit_parameters", "NXparameters")
        for p in result.parameters:
            row = rows.create_dataset(p.name, data=p.value)
            row.attrs["units"] = p.unit
            rows[f"{p.name}_errors"] = p.uncertainty
        for name in ("contrast", "offset"):
            rows[name] = getattr(result, name)
            rows[f"{name}_errors"] = getattr(result, f"{name}_uncertainty")
        fitted["figure_of_merit"] = result.reduced_chi2
        fitted["figure_of_merit"].attrs["metric"] = "reduced chi2"
        process = _group(fitted, "process", "NXprocess")
        process["program"] = fit.origin.written_by or "homodyne"
        process["date"] = fit.origin.created
        out.check()


def _group(parent: h5py.Group, name: str, kind: str, **attributes: object) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    for key, value in attributes.items():
        group.attrs[key] = value
    return group
