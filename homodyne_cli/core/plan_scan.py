"""Scans over measurements, and what of them suffices for a goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from homodyne_cli.core.plan import Expectation, Measurement, Planner
from homodyne_cli.parameters import BY_NAME

#: A search for enough frames goes up to so many times those that were asked about, and not beyond.
_LONGER, _MOST_FRAMES = 8, 4000


@dataclass(frozen=True)
class ScanPoint:
    """One measurement of a scan.

    Attributes
    ----------
    settings
        What it is measured with, by name; frames are those of the file, with that at t = 0.
    """

    settings: Mapping[str, float]
    expectation: Expectation

    @property
    def uncertainties(self) -> Mapping[str, float]:
        """Standard deviation of every free parameter."""
        return self.expectation.uncertainties


@dataclass(frozen=True)
class Sufficient:
    """What meets the goals with settings other than the frames held.

    Attributes
    ----------
    settings
        Without the frames.
    frames
        In one measurement; None if `most` are not enough.
    most
        Frames up to which was looked.
    repeats
        Number of measurements that suffice, by their frames; None if no number does.
    """

    settings: Mapping[str, float]
    frames: int | None
    most: int
    repeats: Mapping[int, int | None]


@dataclass(frozen=True)
class Plan:
    """What is to be expected of a scan.

    Attributes
    ----------
    truth
        Values of all parameters.
    axes
        Values of every setting, in the order of the points.
    points
        The last axis runs fastest.
    goals
        Uncertainties to reach; empty for none.
    enough
        What reaches them.
    """

    truth: Mapping[str, float]
    axes: Mapping[str, Sequence[float]]
    points: tuple[ScanPoint, ...]
    goals: Mapping[str, float]
    enough: tuple[Sufficient, ...]

    @property
    def scanned(self) -> tuple[str, ...]:
        """Settings with more than one value."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)

    def size(self, name: str, sigma: float) -> float:
        """Return an uncertainty in percent of the truth where that cannot be zero."""
        return sigma if BY_NAME[name].may_be_zero else 100.0 * sigma / abs(self.truth[name])


def scan(
    planner: Planner,
    axes: Mapping[str, Sequence[float]],
    measure: Callable[[Mapping[str, float]], Measurement],
    notify: Callable[[str], None],
) -> tuple[ScanPoint, ...]:
    """Expect all measurements of a scan, the last axis running fastest.

    Parameters
    ----------
    axes
        Values of every setting.
    measure
        Makes a measurement from settings.
    notify
        Called with what is looked at.
    """
    points = []
    for values in product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        notify(", ".join(f"{name} {value:g}" for name, value in settings.items()))
        points.append(ScanPoint(settings, planner.expect(measure(settings))))
    return tuple(points)


def sufficient(
    planner: Planner,
    points: Sequence[ScanPoint],
    goals: Mapping[str, float],
    notify: Callable[[str], None],
) -> Iterator[Sufficient]:
    """Yield what suffices for every combination of settings but the frames."""
    alike: dict[tuple[tuple[str, float], ...], list[ScanPoint]] = {}
    for point in points:
        others = tuple(item for item in point.settings.items() if item[0] != "frames")
        alike.setdefault(others, []).append(point)
    for others, group in alike.items():
        longest = max(group, key=_frames)
        most = max(min(_LONGER * _frames(longest), _MOST_FRAMES), _frames(longest))
        # What is known already makes the search shorter.
        enough = [p for p in group if p.expectation.meets(goals)]
        start = min(enough, key=_frames) if enough else longest
        shortest = planner.enough_frames(
            start.expectation.measurement,
            goals,
            most - 1,
            lambda n: notify(f"looking for enough frames: {n + 1}"),
        )
        yield Sufficient(
            settings=dict(others),
            frames=None if shortest is None else shortest.measurement.experiment.n_frames + 1,
            most=most,
            repeats={_frames(p): p.expectation.repeats(goals) for p in group},
        )


def _frames(point: ScanPoint) -> int:
    return int(point.settings["frames"])
