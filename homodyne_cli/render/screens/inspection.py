"""What ``inspect`` shows of a data file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from homodyne_cli.io.files.printable import printable
from homodyne_cli.io.maps.file_report import FileReport, MapReport, RingReport
from homodyne_cli.render.console import is_ascii, print_plain, print_sentence
from homodyne_cli.render.map_chart import map_chart
from homodyne_cli.render.numbers import MISSING, format_count, format_digits
from homodyne_cli.render.table_shapes import plain_table

_LISTED = 12


def inspection_answer(report: FileReport) -> dict[str, object]:
    """Return what ``inspect --json`` prints."""
    return {
        "path": printable(report.path),
        "fits": not report.problem,
        "problem": report.problem,
        "layout": report.layout,
        "n_maps": report.n_maps,
        "n_frames": report.n_frames,
        "first_frame": report.numbered_from,
        "began": report.began,
        "began_source": report.began_source,
        "dt": report.dt,
        "dt_source": report.dt_source,
        "rings": report.rings,
        "ring": report.ring,
        "maps": report.maps,
        "notes": report.notes,
        "arrays": report.arrays,
    }


def show_inspection(console: Console, report: FileReport) -> None:
    """Print what is in a file, and why it cannot be fitted if it cannot."""
    if report.problem:
        _show_arrays(console, report)
        return
    table = plain_table("File", "", "", "from", words=("", "from"))
    for row in _summary(report):
        table.add_row(*map(escape, row))
    console.print(table)
    for note in report.notes:
        print_sentence(console, f"Note: {note}")
    if len(report.rings) > 1:
        console.print(_ring_table(report.rings))
    console.print(_map_table(report))
    if report.shown is not None:
        chart = map_chart(report.shown, width=console.width, ascii_only=is_ascii(console))
        print_plain(console, f"\n{report.maps[0].name}\n{chart}")


def _show_arrays(console: Console, report: FileReport) -> None:
    table = plain_table("Holds", "array", "shape", "type", words=("array",))
    for array in report.arrays:
        shape = " x ".join(map(str, array.shape)) or "one value"
        table.add_row(escape(array.name), shape, array.dtype)
    console.print(table)
    print_sentence(console, f"Cannot be fitted: {report.problem}", style="bold red")


def _summary(report: FileReport) -> Iterator[tuple[str, str, str]]:
    last = report.numbered_from + report.n_frames - 1
    yield "layout", report.layout or "", f"{report.n_maps} maps"
    yield "frames", f"{report.numbered_from}-{last} ({report.n_frames})", "shape of the maps"
    dt = "not in the file: set analyzer_parameters.dt"
    yield "dt", dt if report.dt is None else f"{report.dt:.6g} s", report.dt_source
    if report.began is not None:
        yield "began", f"{report.began:.6g} s before the first frame", report.began_source
    if report.rings:
        q = ", ".join(f"{ring.q:.6g}" for ring in report.rings[:_LISTED])
        more = f", ... ({len(report.rings)})" if len(report.rings) > _LISTED else ""
        yield "rings", f"q = {q}{more} 1/Å", _with_unit(report, "q", report.q_source)
    else:
        yield "rings", "q is not in the file: set wavevector_q", ""
    phi = [m.phi for m in report.maps if math.isfinite(m.phi)]
    if phi:
        source = _with_unit(report, "phi", report.phi_source)
        yield "angles", f"{len(phi)}, {min(phi):.4g} to {max(phi):.4g} deg", source
    else:
        yield "angles", "not in the file: static mode only", ""


def _with_unit(report: FileReport, name: str, source: str) -> str:
    return source if name in report.units else f"{source} (its unit is not stated)"


def _ring_table(rings: Sequence[RingReport]) -> Table:
    table = plain_table("Rings", "q (1/Å)", "maps", "angles", right=("q (1/Å)", "maps"))
    for ring in rings:
        span = f"{min(ring.phi):.4g} to {max(ring.phi):.4g} deg" if ring.phi else MISSING
        table.add_row(f"{ring.q:.6g}", str(len(ring.phi)), span)
    return table


def _map_table(report: FileReport) -> Table:
    figures = ("phi (deg)", "contrast", "offset", "noise", "missing")
    title = "Maps" if report.ring is None else f"Maps of the ring q = {report.ring:.6g} 1/Å"
    caption = "offset: c2 at the longest lags; contrast: how far it is above at the shortest"
    table = plain_table(
        title, *figures, "half", "remark", right=figures, words=("remark",), caption=caption
    )
    for one in report.maps:
        remark = _remark(one)
        table.add_row(*_figures(one), one.half, remark, style="yellow" if remark else None)
    return table


def _figures(one: MapReport) -> tuple[str, ...]:
    phi = f"{one.phi:.2f}" if math.isfinite(one.phi) else MISSING
    missing = format_count(one.n_missing) if one.n_missing else ""
    if one.levels is None:
        return phi, MISSING, MISSING, MISSING, missing
    level = one.levels
    contrast, offset = f"{level.near - level.far:.3f}", f"{level.far:.3f}"
    return phi, contrast, offset, format_digits(level.sigma), missing


def _remark(one: MapReport) -> str:
    said = [] if one.symmetric else ["not symmetric"]
    if one.levels is None:
        said.append("no finite value")
    elif one.levels.constant:
        said.append(f"constant: {one.levels.lowest:g}")
    elif one.levels.flat > 0.01:
        said.append("does not decay")
    if one.levels is not None and one.levels.step > one.levels.sigma:
        said.append(f"rounded to {one.levels.step:.3g}")
    return ", ".join(said)
