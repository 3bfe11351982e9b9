"""A data file is opened by a process of its own first, while the numerical libraries are imported.

Damage to the heap where an HDF5 file keeps its texts and the sources of virtual datasets ends the
process that reads it, or keeps it busy for ever, inside the library where no exception comes from.
The trial reads all that comes before the maps, under a limit of computing time, and what kills it
is an error here. It takes less time than the imports, so a good file does not wait for it. The maps
of a run directory, which somebody else may have made, are tried likewise (`io.run`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from homodyne_cli.errors import HomodyneError
from homodyne_cli.io.formats.guard import DEADLY, ENDLESS, damaged
from homodyne_cli.io.formats.layouts import file_kind, open_source

#: Seconds of computing that a small file may take to be opened, and bytes that add one more.
_SECONDS: Final = 3
_BYTES_PER_SECOND: Final = 50_000_000
#: Seconds to wait where computing time cannot be limited.
_PATIENCE: Final = 60.0
_ADDRESS_SPACE: Final = 4_000_000_000
#: Exit codes from here on are those of a process that Windows ended.
_ENDED_BY_WINDOWS: Final = 0xC0000000
_CRASHES: Final = tuple(
    -getattr(signal, name).value
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP")
    if hasattr(signal, name)
)
#: What a trial ends with that took more memory than anything before the maps can need.
_OUT_OF_MEMORY: Final = 77
_MOST_MEMORY: Final = 1_000_000_000
_OUT_OF_TIME: Final = -signal.SIGXCPU.value if hasattr(signal, "SIGXCPU") else -1


def trial_reading(path: Path) -> AbstractContextManager[Callable[[], None]]:
    """Start the trial of a data file and yield the function that waits for it.

    That raises a `DataError` if the file cannot be opened without harm to the process. Files that
    are not HDF5 need no trial.

    Raises
    ------
    DataError
        There is no such file, or it is of no kind that could hold data: a mistyped path need not
        wait for the imports.
    """
    return trial_by(__name__ if file_kind(path) == "hdf5" else None, path)


@contextmanager
def trials_reading(paths: Sequence[Path]) -> Iterator[Callable[[], None]]:
    """Do the same for several files side by side; the function waits for all of them."""
    with ExitStack() as held:
        waits = [held.enter_context(trial_reading(path)) for path in paths]

        def wait_for_all() -> None:
            for wait in waits:
                wait()

        yield wait_for_all


@contextmanager
def trial_by(module: str | None, path: Path) -> Iterator[Callable[[], None]]:
    """Do the same for any HDF5 file, by the module that reads it as a program; None: no trial."""
    process = _started(module, path) if module and sys.executable else None
    try:
        yield lambda: _wait(process, path)
    finally:
        if process is not None:
            with process:
                process.kill()


def _started(module: str, path: Path) -> subprocess.Popen[bytes] | None:
    # -P: a file of the current folder is no module. One thread of algebra needs no buffers.
    command = [sys.executable, "-P", "-m", module, os.fspath(path)]
    with suppress(OSError):
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    return None


def _wait(process: subprocess.Popen[bytes] | None, path: Path) -> None:
    if process is None:
        return
    try:
        code = process.wait(_PATIENCE if sys.platform == "win32" else None)
    except subprocess.TimeoutExpired:
        code = _OUT_OF_TIME
    if code == _OUT_OF_TIME:
        raise damaged(path, ENDLESS)
    if code == _OUT_OF_MEMORY:
        most = f"{_MOST_MEMORY / 1e9:.0f} GB"
        raise damaged(path, f"what comes before its maps takes more than {most} to be read")
    if code in _CRASHES or code >= _ENDED_BY_WINDOWS:
        raise damaged(path, DEADLY)


def limit_trial(path: Path) -> None:
    """Limit what this process may take, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    limits = ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, _ADDRESS_SPACE),
              (resource.RLIMIT_CORE, 0))  # fmt: skip
    for kind, most in limits:
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def end_trial() -> None:
    """End this process with what tells of the memory that it has taken, where the system can."""
    if _peak_memory() > _MOST_MEMORY:
        sys.exit(_OUT_OF_MEMORY)


def _peak_memory() -> int:
    """Return the most bytes that this program has had in memory; none where none are told.

    What `getrusage` tells counts from before the program was started, when the process was a copy
    of the one that starts it.
    """
    if sys.platform == "win32":
        return 0
    import resource

    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _try(path: Path) -> None:
    """Read all that comes before the maps; what is wrong with it is said by who reads it next."""
    limit_trial(path)
    with suppress(HomodyneError), open_source(path):
        pass
    end_trial()


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
