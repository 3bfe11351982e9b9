"""Read damaged data files in a process that may hang or die, and say what came of each.

Right is: the maps, or one error of the package's own that names the file. Wrong: any other
exception and any warning (a traceback), no answer within 10 s (a hang), a process that dies, memory
above the budget. A file that does one of the last three is right if the trial that comes before a
fit says so.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import sys
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from homodyne_cli.errors import DataError, HomodyneError
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.read_data import open_dataset
from homodyne_cli.io.maps.trial import trial_reading
from homodyne_cli.problem import DataSelection
from tests.support.data_mutations import Q

if sys.platform != "win32":
    import resource

LIMIT_SECONDS: Final = 10.0
BUDGET: Final = 1_000_000_000
#: Of address space, so that an attack that works does not harm the machine.
_MOST_MEMORY: Final = 6_000_000_000
GOOD: Final = ("read", "refused", "refused by trial")


@dataclass(frozen=True)
class Outcome:
    """What came of one file, one of `GOOD` or else traceback, hang, death, memory; and details."""

    kind: str
    detail: str = ""


def read_once(path: Path) -> Outcome:
    """Read a file as a fit would."""
    selection = DataSelection(path=path, q=Q, gap=2e6, dt=0.1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            memory = MemoryBudget(BUDGET, path.parent)
            with open_dataset(selection, "laminar_flow", memory=memory) as dataset:
                return Outcome("read", f"{dataset.n_phi} x {dataset.n_frames}")
    except HomodyneError as error:
        named = str(path) in str(error) or error.exit_code != 3
        return Outcome("refused" if named else "traceback", str(error))
    # Whatever else comes is what is looked for.
    except BaseException as error:  # noqa: BLE001
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "homodyne_cli" in frame.filename] or frames
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        return Outcome("traceback", f"{type(error).__name__} in {where}: {str(error)[:150]}")


def _peak() -> int:
    if sys.platform == "win32":
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _work(pipe: Connection, log: Path) -> None:
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with log.open("w", encoding="utf-8") as stream:
        faulthandler.enable(stream)
        while path := pipe.recv():
            faulthandler.dump_traceback_later(LIMIT_SECONDS - 1.0, file=stream)
            before = _peak()
            outcome = read_once(path)
            faulthandler.cancel_dump_traceback_later()
            if _peak() > max(before, BUDGET):
                outcome = Outcome("memory", f"{_peak() / 1e9:.1f} GB; {outcome.kind}")
            pipe.send(outcome)


class AttackedReader:
    """A process that reads file after file, and is replaced whenever it hangs or dies."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "reader.log"
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._log), daemon=True)
        self._process.start()
        theirs.close()

    def read(self, path: Path) -> Outcome:
        """Return what comes of one file."""
        self._pipe.send(path)
        try:
            if self._pipe.poll(LIMIT_SECONDS):
                outcome: Outcome = self._pipe.recv()
                if outcome.kind != "memory":
                    return outcome
            else:
                outcome = Outcome("hang", self._where())
        except (EOFError, ConnectionResetError):
            self._process.join()
            outcome = Outcome("death", f"exit {self._process.exitcode}: {self._where()}")
        self.close()
        self._start()
        if outcome.kind in ("hang", "death", "memory"):
            try:
                with trial_reading(path) as wait:
                    wait()
            except DataError as error:
                return Outcome("refused by trial", f"{error}; {outcome}")
        return outcome

    def _where(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        frames = [line.strip() for line in lines if line.strip().startswith("File")]
        return " < ".join(frames[:3])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()
