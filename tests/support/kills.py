"""Kills commands at random moments and looks at what they leave.

Real processes of `fit`, `simulate`, `apply-scale`, `diagnose -o` and `verify --report`, on data of
2 angles x 20 frames, get SIGINT, SIGTERM or SIGKILL at a moment drawn between their start and a
little after their usual end. After each kill:

- the exit code is 130 for SIGINT and SIGTERM, unless the command was done before; SIGKILL ends it
  as it ends everything, and any signal ends an interpreter that is still coming up;
- what was there before is as it was or whole and new: the config, the data, the run;
- what the command makes is whole or not there;
- nothing hidden is left after the next command that writes there.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import h5py

from homodyne_cli.errors import HomodyneError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.run.read_run import read_run
from tests.support.commands import homodyne, started

CONFIG: Final = "config.yaml"
HOMODYNE: Final = (sys.executable, "-m", "homodyne_cli")
FIX: Final = "optimization:\n  nlsq:\n    x_scale_map:\n      D0: {}\n"
SMALL: Final = ("--frames", "20", "--phi", "0,30", "--noise", "0.01")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
DONE: Final = (0, 1)
INTERRUPTED: Final = 130
#: Moments are drawn up to this multiple of a command's usual duration.
BEYOND: Final = 1.05
#: Seconds after which a command counts as hanging.
PATIENCE: Final = 300.0


@dataclass(frozen=True)
class Command:
    """A command to kill: what it is called with, what it writes and whether that is whole."""

    name: str
    arguments: tuple[str, ...]
    made: str
    is_whole: Callable[[Path], bool]
    #: The command that follows in the same folder, to clear up.
    next: tuple[str, ...] = ("init", "--force", "-o", "next.yaml")


def commands() -> tuple[Command, ...]:
    """Return the commands that are killed; `fit` with and without something to replace."""
    fit = ("fit", CONFIG, "-q", "--set", "optimization.nlsq.global_search=false", "-o")
    return (
        Command("fit", (*fit, "new"), "new", is_run),
        Command("fit --force", (*fit, "run", "--force"), "run", is_run),
        Command("simulate", ("simulate", CONFIG, *SMALL, "-o", "s.h5"), "s.h5", is_data),
        Command(
            "simulate --force",
            ("simulate", CONFIG, *SMALL, "-o", "data.h5", "--force"), "data.h5", is_data,
        ),
        Command("apply-scale", ("apply-scale", CONFIG, "fix.yaml"), CONFIG, is_config),
        Command("diagnose", ("diagnose", "run", "-o", "fix.yaml", "--force"), "fix.yaml", is_fix),
        Command("verify", ("verify", "run", "-q", "--report", "r.html"), "r.html", is_page),
    )  # fmt: skip


def is_run(path: Path) -> bool:
    """Whether a run directory holds everything and can be read."""
    try:
        read_run(path)
        json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except (HomodyneError, OSError, ValueError):
        return False
    return any(path.glob("*.png"))


def is_data(path: Path) -> bool:
    """Whether a data file can be read to its end."""
    try:
        with h5py.File(path, "r") as file:
            return len(file["/xpcs/twotime/correlation_map"]) == 2
    except (OSError, KeyError):
        return False


def is_config(path: Path) -> bool:
    """Whether a config is complete."""
    try:
        load_config(path)
    except HomodyneError:
        return False
    return path.read_bytes().endswith(b"\n")


def is_fix(path: Path) -> bool:
    """Whether a fix is complete."""
    return path.read_text(encoding="utf-8").endswith("\n")


def is_page(path: Path) -> bool:
    """Whether a report is complete."""
    return path.read_text(encoding="utf-8").rstrip().endswith("</html>")


@dataclass
class Tally:
    """What was seen."""

    endings: Counter[str] = field(default_factory=Counter)
    leftovers: int = 0
    before_start: int = 0
    kills: int = 0
    findings: list[str] = field(default_factory=list)


class Bench:
    """A folder with a config, data, a run and a fix, made once and restored after every kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("init", "-o", CONFIG)
        self.run("simulate", CONFIG, *SMALL, "-o", "data.h5")
        self.run("fit", CONFIG, "-q", "-o", "run")
        (folder / "fix.yaml").write_text(FIX.format(1.5), encoding="utf-8")
        self.kept = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.durations: dict[str, float] = {}

    def run(self, *arguments: str) -> None:
        """Run a command that must work."""
        done = homodyne(*arguments, cwd=self.folder)
        assert done.returncode in DONE, done.stderr

    def restore(self) -> None:
        """Bring the folder back into its first state."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(kept.is_relative_to(path) for kept in self.kept):
                path.rmdir()
            elif not path.is_dir() and path not in self.kept:
                path.unlink()
        for path, content in self.kept.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    def hidden(self) -> list[str]:
        """Return names that begin with a dot."""
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".")]

    def duration(self, command: Command) -> float:
        """Return how long a command takes if it is let be."""
        if command.name not in self.durations:
            start = time.monotonic()
            done = started(*command.arguments, cwd=self.folder)
            assert done.returncode in DONE, done.stderr
            self.durations[command.name] = time.monotonic() - start
            self.restore()
        return self.durations[command.name]

    def kill(self, command: Command, number: signal.Signals, moment: float, tally: Tally) -> None:
        """Kill a command once and look at what is there then."""
        tally.kills += 1
        case = f"{command.name}, {number.name} after {moment:.2f} s"
        process = subprocess.Popen(
            [*HOMODYNE, *command.arguments],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(moment)
        before_start = process.poll() is None and not _answers(process.pid)
        process.send_signal(number)
        try:
            _, told = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            _, told = process.communicate()
            tally.findings.append(f"{case}: hangs")
        code = process.returncode
        tally.endings[f"{number.name}: {code}"] += 1
        findings = list(self._ending(number, code, told, before_start=before_start))
        tally.leftovers += bool(self.hidden())
        tally.before_start += before_start
        self.run(*command.next)
        findings += self._state(command, code)
        tally.findings += [f"{case}: {finding}" for finding in findings]
        self.restore()

    def _ending(
        self, number: signal.Signals, code: int, told: str, *, before_start: bool
    ) -> Iterator[str]:
        if before_start:
            return
        expected = -number if number is signal.SIGKILL else INTERRUPTED
        if code not in (*DONE, expected):
            yield f"exit code {code}: {told[-300:]}"
        if "Traceback" in told:
            yield f"traceback: {told[-300:]}"

    def _state(self, command: Command, code: int) -> Iterator[str]:
        if self.hidden():
            yield f"left behind: {self.hidden()}"
        made = self.folder / command.made
        there = made.exists()
        if there and not command.is_whole(made):
            yield f"{command.made} is not whole"
        if not there and code in DONE:
            yield f"{command.made} is not there"
        for path, content in self.kept.items():
            if made in (path, *path.parents):
                if not there:
                    yield f"{command.made} is lost"
            elif not path.exists() or path.read_bytes() != content:
                yield f"{path.relative_to(self.folder)} is changed"


def _answers(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM: before, its interpreter is coming up."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def attack(folder: Path, count: int, seed: int, names: Collection[str] = ()) -> Tally:
    """Kill commands in turn, signals in turn, moments at random; return what was seen.

    Parameters
    ----------
    names
        Of the commands; all if empty.
    """
    moments = random.Random(seed)
    bench, tally = Bench(folder), Tally()
    chosen = [command for command in commands() if not names or command.name in names]
    for kill in range(count):
        command = chosen[kill % len(chosen)]
        number = SIGNALS[(kill + kill // len(chosen)) % len(SIGNALS)]
        moment = moments.uniform(0.0, BEYOND * bench.duration(command))
        bench.kill(command, number, moment, tally)
    return tally
