"""What ``plan`` shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from homodyne_cli.core.plan_scan import Plan, ScanPoint, Sufficient
from homodyne_cli.parameters import BY_NAME
from homodyne_cli.render.bars import log_chart
from homodyne_cli.render.console import is_ascii, make_console, print_plain, print_sentence
from homodyne_cli.render.numbers import MISSING, format_digits, format_number, format_seconds
from homodyne_cli.render.table_shapes import plain_table

_UNITS = {"dt": " s"}
#: One and several of what is counted.
_COUNTED = {
    "frames": ("frame", "frames"),
    "angles": ("angle", "angles"),
    "counts": ("photon per speckle and frame", "photons per speckle and frame"),
    "speckles": ("speckle per angle", "speckles per angle"),
}
#: Scanned settings that stand beside the parameters in one table.
_BESIDE = 2
_HEIGHT, _WIDEST = 14, 100
#: Of the parameters in a picture without goals.
_PICTURED = ("D0", "gamma_dot_t0", "phi0")
_MOST_LINES = 9


def plan_answer(plan: Plan) -> dict[str, object]:
    """Return what ``plan --json`` prints."""
    return {
        "truth": plan.truth,
        "goals": plan.goals,
        "points": [
            {
                **_plain(point.settings),
                "uncertainties": point.uncertainties,
                "merged_frames": point.expectation.merged,
                "meets_goals": point.expectation.meets(plan.goals) if plan.goals else None,
                "repeats": point.expectation.repeats(plan.goals) if plan.goals else None,
            }
            for point in plan.points
        ],
        "enough": [
            {**_plain(one.settings), "frames": one.frames, "searched_to": one.most}
            for one in plan.enough
        ],
    }


def _plain(settings: Mapping[str, float]) -> dict[str, float]:
    return {name: int(v) if float(v).is_integer() else v for name, v in settings.items()}


def show_plan(plan: Plan) -> None:
    """Print expected uncertainties, their course, and what suffices."""
    console = make_console()
    print_sentence(console, f"Expected uncertainties (1 sigma, best weights): {_held(plan)}")
    if plan.scanned:
        for table in _scan_tables(plan):
            console.print(table)
    else:
        console.print(_parameter_table(plan))
    for line in _remarks(plan):
        print_sentence(console, line)
    for chart in plan_charts(plan, min(console.width, _WIDEST), ascii_only=is_ascii(console)):
        print_plain(console, f"\n{chart}")
    if plan.enough:
        console.print(_enough_table(plan))
    if not plan.goals:
        print_sentence(console, "What suffices for an uncertainty: add --goal, like --goal D0=5%")


def setting_text(name: str, value: float) -> str:
    """Write the value of a setting."""
    if name == "counts" and math.isinf(value):
        return "no photon noise"
    return format_number(value, 6) + _UNITS.get(name, "")


def _held(plan: Plan) -> str:
    """Say what is the same everywhere."""
    held = {name: values[0] for name, values in plan.axes.items() if name not in plan.scanned}
    return ", ".join(_phrase(name, value) for name, value in held.items())


def _phrase(name: str, value: float) -> str:
    text = setting_text(name, value)
    if name not in _COUNTED:
        return f"{_label(name)} {text}"
    return text if math.isinf(value) else f"{text} {_COUNTED[name][value != 1.0]}"


def _label(name: str) -> str:
    if name in _COUNTED:
        return _COUNTED[name][1]
    return "white noise per pair" if name == "noise" else name


def _parameter_table(plan: Plan) -> Table:
    """Show one measurement, a row for each parameter."""
    figures = ("truth", "sigma", "percent", *(("goal",) if plan.goals else ()))
    table = plain_table("", "parameter", *figures, "unit", right=figures)
    (point,) = plan.points
    for name, sigma in point.uncertainties.items():
        truth = plan.truth[name]
        share = format_digits(100.0 * sigma / abs(truth), 2) if truth else MISSING
        cells = [format_number(truth, 6), format_digits(sigma, 2), share]
        goal = plan.goals.get(name)
        if plan.goals:
            cells.append("" if goal is None else format_digits(goal, 2))
        missed = goal is not None and not sigma <= goal
        table.add_row(name, *cells, BY_NAME[name].unit, style="yellow" if missed else None)
    return table


def _scan_tables(plan: Plan) -> Iterator[Table]:
    """Yield tables of a scan, a row for each measurement; a table for each of the first settings.

    As many settings as fit on 80 columns are columns of one table.
    """
    apart, beside = plan.scanned[:-_BESIDE], plan.scanned[-_BESIDE:]
    groups: dict[str, list[ScanPoint]] = {}
    for point in plan.points:
        title = ", ".join(_phrase(name, point.settings[name]) for name in apart)
        groups.setdefault(title, []).append(point)
    units = ", ".join(
        f"{BY_NAME[name].symbol} in {BY_NAME[name].unit}"
        for name in plan.points[0].uncertainties
        if BY_NAME[name].may_be_zero and BY_NAME[name].unit
    )
    for k, (title, points) in enumerate(groups.items(), start=1):
        yield _scan_table(plan, beside, points, title, units if k == len(groups) else "")


def _scan_table(
    plan: Plan, beside: tuple[str, ...], points: list[ScanPoint], title: str, units: str
) -> Table:
    names = (*beside, *map(_head, points[0].uncertainties))
    goal = ("goal",) if plan.goals else ()
    table = plain_table(title, *names, *goal, right=names, caption=units or None)
    for point in points:
        met = point.expectation.meets(plan.goals) if plan.goals else False
        table.add_row(
            *(setting_text(name, point.settings[name]) for name in beside),
            *(_brief(plan.size(n, s)) for n, s in point.uncertainties.items()),
            *(("met" if met else "no",) if plan.goals else ()),
            style="green" if met else None,
        )
    return table


def _brief(sigma: float) -> str:
    """Return two digits in at most six columns."""
    if not math.isfinite(sigma):
        return MISSING
    rounded = float(f"{sigma:.1e}")
    if 10.0 <= rounded < 1e6:
        return f"{rounded:.0f}"
    if 1e-3 <= rounded < 10.0:
        return format_digits(rounded, 2)
    mantissa, _, power = f"{rounded:.1e}".partition("e")
    return f"{mantissa}e{int(power)}"


def _head(name: str) -> str:
    parameter = BY_NAME[name]
    return parameter.symbol if parameter.may_be_zero else f"{parameter.symbol} %"


def _remarks(plan: Plan) -> Iterator[str]:
    lost = {n for p in plan.points for n, s in p.uncertainties.items() if math.isnan(s)}
    if lost:
        listed = ", ".join(name for name in plan.truth if name in lost)
        yield f"{MISSING} not determined by such data: {listed} (fix one, or change the settings)"
    merged = {p.settings["frames"]: p.expectation.merged for p in plan.points}
    for frames, size in merged.items():
        if size > 1:
            yield f"Of {frames:g} frames a fit with best weights merges {size} into one, so here."


def plan_series(plan: Plan, name: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return what is drawn of a parameter over the first setting of `drawn_over`.

    Each combination of the other settings has a line.
    """
    axis = drawn_over(plan)
    others = [other for other in plan.scanned if other != axis]
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for point in plan.points:
        key = ", ".join(f"{o} {setting_text(o, point.settings[o])}" for o in others)
        x, y = lines.setdefault(key, ([], []))
        if math.isfinite(point.settings[axis]):
            x.append(point.settings[axis])
            y.append(plan.size(name, point.uncertainties[name]))
    return lines


def drawn_over(plan: Plan) -> str:
    """Return the setting at the x axis: frames, counts or angles where they are scanned."""
    return next(
        (name for name in ("frames", "counts", "angles") if name in plan.scanned),
        plan.scanned[0] if plan.scanned else "frames",
    )


def drawn_names(plan: Plan) -> tuple[str, ...]:
    """Return the parameters with goals, else the best known of those that are fitted."""
    free = plan.points[0].uncertainties
    return tuple(n for n in (plan.goals or _PICTURED) if n in free)


def uncertainty_label(name: str) -> str:
    """Say what is drawn of a parameter."""
    parameter = BY_NAME[name]
    unit = parameter.unit if parameter.may_be_zero else "%"
    return f"sigma of {name} ({unit})" if unit else f"sigma of {name}"


def save_plan(path: Path, plan: Plan) -> None:
    """Draw all parameters over the scanned setting as a PNG."""
    from homodyne_cli.render.pictures.plan_picture import save_lines

    axis, names = drawn_over(plan), tuple(plan.points[0].uncertainties)
    unit = _UNITS.get(axis, "")
    save_lines(
        path,
        {uncertainty_label(name): plan_series(plan, name) for name in names},
        {uncertainty_label(name): plan.size(name, goal) for name, goal in plan.goals.items()},
        f"{_label(axis)} ({unit.strip()})" if unit else _label(axis),
    )


def plan_charts(plan: Plan, width: int, *, ascii_only: bool) -> Iterator[str]:
    """Yield a chart over the scanned setting for each of `drawn_names`; none without a scan."""
    if not plan.scanned:
        return
    axis = drawn_over(plan)
    for name in drawn_names(plan):
        lines = dict(list(plan_series(plan, name).items())[:_MOST_LINES])
        yield log_chart(
            lines,
            title=uncertainty_label(name),
            x_label=_label(axis),
            width=width,
            height=_HEIGHT,
            ascii_only=ascii_only,
        )


def _enough_table(plan: Plan) -> Table:
    goals = ", ".join(f"{n} to {_goal_text(plan, n, goal)}" for n, goal in plan.goals.items())
    others = [name for name in plan.scanned if name != "frames"]
    figures = (*others, "frames", "lasting")
    title = escape(f"What suffices for {goals}")
    table = plain_table(title, *figures, "or repeat", right=figures, words=("or repeat",))
    for one in plan.enough:
        dt = one.settings["dt"]
        frames = f"> {one.most}" if one.frames is None else str(one.frames)
        time = MISSING if one.frames is None else format_seconds(one.frames * dt)
        settings = (setting_text(name, one.settings[name]) for name in others)
        table.add_row(*settings, frames, time, _repeats(one))
    return table


def _repeats(one: Sufficient) -> str:
    known = {frames: times for frames, times in one.repeats.items() if times is not None}
    # What one measurement does needs no longer one.
    once = min((frames for frames, times in known.items() if times == 1), default=math.inf)
    parts = [f"{times} x {frames}" for frames, times in known.items() if frames <= once]
    return f"{', '.join(parts)} frames" if parts else "no number of them: not determined"


def _goal_text(plan: Plan, name: str, goal: float) -> str:
    size = format_number(plan.size(name, goal), 3)
    return f"{size} {BY_NAME[name].unit}".rstrip() if BY_NAME[name].may_be_zero else f"{size}%"
