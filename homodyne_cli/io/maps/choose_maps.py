"""Choose the maps of a file that a config selects: those of one ring, of several, or of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.raw_source import NamedArray, RawSource
from homodyne_cli.io.formats.units import to_degrees
from homodyne_cli.io.maps.select import choose_angles, choose_ring, listed, ring_ids, ring_values
from homodyne_cli.parameters import AnalysisMode
from homodyne_cli.problem import DataSelection

#: Relative difference of q up to which config and file agree: a percent of q is two percent of D0,
#: which is as much as the best fits know.
Q_AGREES: Final = 0.01


@dataclass(frozen=True)
class ChosenMaps:
    """Maps of a file, ring by ring.

    Attributes
    ----------
    index
        (n_maps,) places in the source.
    q, phi
        (n_maps,) 1/Å and degrees.
    provenance
        Of q and phi.
    of_rings
        Maps of these rings before angles were left out.
    pixels
        (n_maps,) detector pixels of each; None if the file does not say.
    """

    index: NDArray[np.intp]
    q: FloatArray
    phi: FloatArray
    provenance: dict[str, Provenance]
    of_rings: int
    notes: tuple[str, ...]
    pixels: FloatArray | None


@dataclass(frozen=True)
class _Ring:
    """One ring of a source, all of its angles."""

    index: NDArray[np.intp]
    q: float
    notes: tuple[str, ...] = ()


def named_array(selection: DataSelection) -> NamedArray | None:
    """Return the array that the config names, None if the layout of the file finds it."""
    name = selection.dataset
    return None if name is None else NamedArray(name, selection.angle_axis)


def source_as_told(raw: RawSource, selection: DataSelection) -> RawSource:
    """Return the source with what the config says of it and the file does not."""
    raw = _renumbered(raw, selection)
    if selection.sigma is not None:
        # What the file says of noise must then mask nothing, and keep nothing in memory.
        raw = replace(raw, sigma=None)
    if selection.baseline is not None:
        raw = replace(raw, shift=1.0 - selection.baseline)
    if selection.phi is not None:
        if len(selection.phi) != len(raw.maps):
            raise DataError(
                f"{len(selection.phi)} angles in experimental_data.phi for {len(raw.maps)} maps",
                path=raw.path,
                hint="give one angle per map, in the order of the file",
            )
        phi = np.array(selection.phi)
        raw = replace(raw, phi=phi, phi_source="config: experimental_data.phi", phi_factor=1.0)
    if selection.phi_unit is not None and raw.phi is not None:
        raw = replace(raw, phi=raw.phi * (to_degrees(selection.phi_unit) / raw.phi_factor))
    return raw


def _renumbered(raw: RawSource, selection: DataSelection) -> RawSource:
    """Return the source with the frame numbers of a cache that was cut to just this selection."""
    length = selection.end_frame - selection.start_frame + 1
    if (
        raw.layout != "homodyne 2.x cache"
        or raw.numbered_from != 1
        or selection.start_frame == 1
        or raw.shapes[0][-1] != length
    ):
        return raw
    note = (
        f"the cache holds {length} frames, as many as frames {selection.start_frame} to "
        f"{selection.end_frame}: it was taken to be cut to these"
    )
    return replace(raw, numbered_from=selection.start_frame, notes=(*raw.notes, note))


def choose_maps(raw: RawSource, selection: DataSelection, mode: AnalysisMode) -> ChosenMaps:
    """Return the maps that are fitted.

    Raises
    ------
    DataError
        The file does not hold them, or does not say which they are.
    """
    rings, resolved = _rings(raw, selection)
    notes = [note for ring in rings for note in ring.notes]
    if raw.phi is None:
        if mode == "laminar_flow" or selection.phi_ranges is not None:
            raise DataError(
                "the file has no angles",
                path=raw.path,
                dataset=raw.phi_source,
                hint="laminar_flow and phi_filtering need the angle of each map, in degrees: "
                f'--set "experimental_data.phi=[...]" ({len(raw.maps)} of them)',
            )
        notes.append("the file has no angles; static mode does not need them, phi = 0 is shown")
    of_file = np.zeros(len(raw.maps)) if raw.phi is None else raw.phi
    ranges, path = selection.phi_ranges, raw.path
    kept = [r.index[choose_angles(of_file[r.index], ranges, path=path)] for r in rings]
    index, of_rings = np.concatenate(kept), sum(len(ring.index) for ring in rings)
    phi = np.asarray(of_file[index], dtype=np.float64)
    span = f"{phi[0]:g}" if len(phi) == 1 else f"{len(phi)} angles, {phi.min():g} to {phi.max():g}"
    if len(rings) > 1:
        counts = sorted({len(one) for one in kept})
        each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        span = f"{each} angles on each of {len(rings)} rings, {phi.min():g} to {phi.max():g}"
    filtered = f"; phi_filtering kept {len(phi)} of {of_rings}" if ranges else ""
    source = f"file: {raw.phi_source}" if raw.phi is not None else "none in the file"
    provenance = {"q": resolved, "phi": Provenance(f"{span} deg", source + filtered)}
    q = np.concatenate([np.full(len(k), r.q) for k, r in zip(kept, rings, strict=True)])
    pixels = None if raw.pixels is None else raw.pixels[index]
    return ChosenMaps(index, q, phi, provenance, of_rings, tuple(notes), pixels)


def joined_pixels(files: Sequence[ChosenMaps]) -> FloatArray | None:
    """Return the pixels of the maps of all files; None if one does not say."""
    known = [file.pixels for file in files if file.pixels is not None]
    return np.concatenate(known) if len(known) == len(files) else None


def _rings(raw: RawSource, selection: DataSelection) -> tuple[list[_Ring], Provenance]:
    """Return the rings that the config selects, in ascending q, and where they came from."""
    wanted = selection.q
    if raw.q is None:
        if not isinstance(wanted, float):
            raise DataError(
                "no wave vector in the file, and "
                f"{'none' if wanted is None else 'several'} in the config",
                path=raw.path,
                dataset=raw.q_source,
                hint="set analyzer_parameters.scattering.wavevector_q to that of the maps, in 1/Å",
            )
        resolved = Provenance(f"{wanted:.6g} 1/Å", "config (none in the file)")
        return [_Ring(np.arange(len(raw.maps)), wanted)], resolved
    ids = _usable_rings(raw, raw.q)
    values = ring_values(raw.q, ids)
    source = f"file: {raw.q_source}, "
    if wanted == "all":
        targets: tuple[float | None, ...] = tuple(values.tolist()) or (None,)
        source += f"all of its {len(values)} rings" if len(values) > 1 else "its only ring"
    elif isinstance(wanted, tuple):
        targets = wanted
        source += f"the rings nearest to {listed(np.array(wanted))} of {len(values)}"
    else:
        targets = (wanted,)
        source += (
            "its only ring"
            if wanted is None or len(values) == 1
            else f"the ring nearest to {wanted:.6g} of {len(values)}"
        )
    rings = sorted((_ring(raw, raw.q, ids, target) for target in targets), key=lambda r: r.q)
    for before, after in pairwise(rings):
        if before.q == after.q:
            raise DataError(
                f"two of the wave vectors of the config mean the ring at {after.q:.6g} 1/Å; "
                f"rings in the file (1/Å): {listed(values)}",
                path=raw.path,
                hint="name each ring once in analyzer_parameters.scattering.wavevector_q",
            )
    resolved = Provenance(f"{listed(np.array([ring.q for ring in rings]))} 1/Å", source)
    return rings, resolved


def _usable_rings(raw: RawSource, q: FloatArray) -> NDArray[np.intp]:
    """Return the ring of each map, -1 where q or phi is no number."""
    ids = ring_ids(q, raw.phi) if raw.rings is None else raw.rings
    known = np.isfinite(q) & (q > 0)
    if raw.phi is not None:
        known &= np.isfinite(raw.phi)
    return np.where(known, ids, -1)


def _ring(
    raw: RawSource, of_maps: FloatArray, ids: NDArray[np.intp], wanted: float | None
) -> _Ring:
    index, q = choose_ring(of_maps, ids, wanted, path=raw.path)
    notes = []
    if wanted is not None and abs(q - wanted) > Q_AGREES * wanted:
        notes.append(
            f"q is {wanted:.6g} 1/Å in the config; the nearest ring, {q:.6g} 1/Å "
            f"({q / wanted - 1:+.1%}), was used"
        )
    spread = np.ptp(of_maps[index]) / q
    if spread > Q_AGREES / 10:
        notes.append(f"the maps of this ring have q within {spread:.2%}: their mean was used")
    return _Ring(index, q, tuple(notes))
