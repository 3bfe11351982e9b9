"""Which fits a batch makes: every scan, every ring, each with its own settings.

A job is a template config with overrides, so that ``homodyne fit TEMPLATE --set ...`` with the same
overrides is the same fit. Its name is that of its run directory: the file's stem and, where rings
are asked for, the ring. Names that clash take the folder of the file in front.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from homodyne_cli.batch.rings import FileRings, rings_of_files
from homodyne_cli.errors import UsageError

#: Config keys that a job sets beside the user's.
FILE_KEY = "experimental_data.file_path"
Q_KEY = "analyzer_parameters.scattering.wavevector_q"
#: Columns of a table of scans that name the data file.
FILE_COLUMNS = (FILE_KEY, "file")


@dataclass(frozen=True)
class Scan:
    """A data file and the config keys that are its own."""

    data: Path
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """One fit of a batch.

    Attributes
    ----------
    name
        Of its run directory, unique in the batch.
    template
        Config that it starts from.
    data
        Data file.
    q
        Ring in 1/Å; None for the template's.
    overrides
        ``KEY=VALUE`` settings on top of the template, in order.
    error
        Why it cannot be fitted, known before it is tried; empty where nothing is known.
    """

    name: str
    template: Path
    data: Path
    q: float | None
    overrides: tuple[str, ...]
    error: str = ""

    @property
    def scan_number(self) -> int | None:
        """The last number in the file's name, which facilities count up."""
        numbers = re.findall(r"\d+", self.data.stem)
        return int(numbers[-1]) if numbers else None

    @property
    def time(self) -> str | None:
        """When the data file was written last, in UTC."""
        try:
            written = self.data.stat().st_mtime
        except OSError:
            return None
        return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")

    def command_line(self, target: Path) -> tuple[str, ...]:
        """Return the command that makes the same fit."""
        settings = [word for setting in self.overrides for word in ("--set", setting)]
        return ("homodyne", "fit", str(self.template), "-o", str(target), *settings)


def find_scans(patterns: Sequence[str]) -> tuple[Scan, ...]:
    """Return the files that names and patterns like ``scans/*.h5`` stand for, each once.

    Raises
    ------
    UsageError
        If a pattern matches nothing.
    """
    paths: list[Path] = []
    for pattern in patterns:
        matches = _matches(Path(pattern))
        if not matches:
            raise UsageError(
                f"{pattern}: no such file", hint="name data files, or a pattern in quotes"
            )
        paths += [match.absolute() for match in matches]
    return tuple(Scan(path, {}) for path in dict.fromkeys(paths))


def _matches(pattern: Path) -> list[Path]:
    if pattern.exists():
        return [pattern]
    root = Path(pattern.anchor)
    return sorted(root.glob(str(pattern.relative_to(root))))


def read_scan_table(path: Path, scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """Return scans with the settings that a CSV table has for them.

    Parameters
    ----------
    path
        A table whose column ``file`` names data files (relative to the table) and whose other
        columns are config keys; an empty cell leaves the key to the template.
    scans
        Those of the command line, to which rows are matched; empty to take the table's.

    Raises
    ------
    UsageError
        If the table cannot be read, has no column of files, or names none of the scans.
    """
    rows = _table_rows(path)
    by_file = {scan.data: scan for scan in rows}
    if len(by_file) != len(rows):
        twice = next(s.data for s in rows if sum(r.data == s.data for r in rows) > 1)
        raise UsageError(f"{path}: {twice} has more than one row", hint="give each file one row")
    if not scans:
        return tuple(rows)
    missing = [scan.data for scan in scans if scan.data not in by_file]
    if missing:
        raise UsageError(
            f"{path}: has no row for {missing[0]}",
            hint="the column 'file' names data files, relative to the table",
        )
    return tuple(by_file[scan.data] for scan in scans)


def _table_rows(path: Path) -> list[Scan]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns, rows = list(reader.fieldnames or ()), list(reader)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a CSV table: {error}") from error
    named = [column for column in columns if column in FILE_COLUMNS]
    if len(named) != 1:
        raise UsageError(
            f"{path}: its columns are {', '.join(columns) or 'none'}",
            hint="one column 'file' names the data files, the others are config keys",
        )
    scans = []
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values() or not row[named[0]]:
            raise UsageError(f"{path}:{number}: needs {len(columns)} cells and a file")
        settings = {key: cell for key, cell in row.items() if cell and key not in FILE_COLUMNS}
        scans.append(Scan((path.absolute().parent / row[named[0]]), settings))
    return scans


def plan_jobs(
    template: Path,
    scans: Sequence[Scan],
    *,
    overrides: Sequence[str] = (),
    rings: str | None = None,
) -> tuple[Job, ...]:
    """Return one job for each scan and ring.

    Parameters
    ----------
    overrides
        ``KEY=VALUE`` settings of all jobs; those of a scan win over them.
    rings
        None for the template's q, ``all`` for every ring of each file, else a list of q in 1/Å.

    Raises
    ------
    UsageError
        If `rings` is neither.
    """
    asked = None if rings in (None, "all") else _wave_vectors(str(rings))
    of_files = rings_of_files([scan.data for scan in scans]) if rings == "all" else {}
    jobs: list[Job] = []
    for scan in scans:
        base = Job(scan.data.stem, template, scan.data, None, _settings(scan, overrides))
        if rings is None:
            jobs.append(base)
        elif asked is None:
            jobs += _every_ring(base, of_files[scan.data])
        else:
            jobs += [_at_ring(base, q) for q in asked]
    return _named_apart(jobs)


def _settings(scan: Scan, overrides: Sequence[str]) -> tuple[str, ...]:
    # A JSON string is YAML whatever characters the path has.
    file = f"{FILE_KEY}={json.dumps(str(scan.data))}"
    own = [f"{key}={value}" for key, value in scan.settings.items()]
    return (*overrides, file, *own)


def _at_ring(job: Job, q: float) -> Job:
    settings = (*job.overrides, f"{Q_KEY}={q!r}")
    return replace(job, name=f"{job.name}_q{q:.5g}", q=q, overrides=settings)


def _every_ring(job: Job, rings: FileRings) -> list[Job]:
    """Return a job for each ring of a file; one that carries the error if it cannot be read."""
    if rings.error:
        return [replace(job, error=rings.error)]
    return [_at_ring(job, q) for q in rings.q]


def _wave_vectors(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0.0 < value < float("inf") for value in values):
        raise UsageError(
            f"--q {text!r}: neither 'all' nor positive wave vectors in 1/Å",
            hint="for example --q 0.0054,0.0081",
        )
    return values


def _named_apart(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Give jobs of equal name the folder of their file, and a number where that is not enough."""

    def clashing(names: Iterable[str]) -> set[str]:
        return {name for name, count in Counter(names).items() if count > 1}

    twice = clashing(job.name for job in jobs)
    named = [
        replace(job, name=f"{job.data.parent.name}_{job.name}") if job.name in twice else job
        for job in jobs
    ]
    twice = clashing(job.name for job in named)
    numbers: Counter[str] = Counter()
    apart = []
    for job in named:
        numbers[job.name] += 1
        name = f"{job.name}_{numbers[job.name]}" if job.name in twice else job.name
        apart.append(replace(job, name=name))
    return tuple(apart)


def shard(jobs: Sequence[Job], text: str) -> tuple[Job, ...]:
    """Return part k of n of the jobs, by ``k/n``, counted from 1.

    Raises
    ------
    UsageError
        If the text is not of that form.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text!r}: not a part like 3/20", hint="parts count from 1")
    return tuple(jobs[int(match[1]) - 1 :: int(match[2])])
