"""Where jobs run: this process, several processes of this machine, or a cluster.

All of them are `concurrent.futures.Executor`, so that a site can plug in its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import psutil

from homodyne_cli.core.numerics.threads import usable_cores
from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.interrupts import on_interrupt

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized


#: Seconds between two looks at whether the batch is still there; one that was killed cannot tell.
_PARENT_CHECK = 1.0


class _Client(Protocol):
    """What is used of `distributed.Client`."""

    def get_executor(self, **options: int) -> Executor: ...

    def close(self) -> None: ...


@contextmanager
def in_this_process() -> Iterator[Executor]:
    """Yield an executor that makes one fit at a time, all with the same compiled code."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def in_processes(count: int) -> Callable[[], AbstractContextManager[Executor]]:
    """Return what makes an executor of so many processes, each with its share of the cores."""

    @contextmanager
    def make() -> Iterator[Executor]:
        context: SpawnContext = multiprocessing.get_context("spawn")
        begun = context.Value("i", 0)
        with (
            on_interrupt(_end_processes),
            ProcessPoolExecutor(
                count, mp_context=context, initializer=_begin, initargs=(begun, count)
            ) as executor,
        ):
            try:
                yield executor
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    return make


def _end_processes() -> None:
    """End the processes of this one: without it they would wait for jobs for ever."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _begin(begun: Synchronized[int], count: int) -> None:
    """Make a process one of a batch's: the batch answers Ctrl-C, and its end is the end of all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _take_cores(begun, count)


def _end_with_parent() -> None:
    parent = psutil.Process().parent()
    while parent is not None and parent.is_running():
        time.sleep(_PARENT_CHECK)
    os._exit(1)


def _take_cores(begun: Synchronized[int], count: int) -> None:
    """Keep this process to its share of the cores, before JAX counts them."""
    if sys.platform == "darwin":
        # Processes cannot be bound to cores there.
        return
    with begun.get_lock():
        place = begun.value % count
        begun.value += 1
    process = psutil.Process()
    cores = process.cpu_affinity()
    own = cores[place::count] or cores
    process.cpu_affinity(own)


def processes_for(n_jobs: int, asked: int | None) -> int:
    """Return how many processes to use: what is asked, else one per core, at most one per job."""
    return max(1, min(n_jobs, usable_cores() if asked is None else asked))


def on_cluster(
    address: str | None, file: Path | None
) -> Callable[[], AbstractContextManager[Executor]]:
    """Return what makes an executor on a running dask cluster.

    Parameters
    ----------
    address, file
        Of the scheduler: one of them.

    Raises
    ------
    UsageError
        If dask.distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "a cluster needs dask.distributed, which is not installed",
            hint="pip install 'homodyne-cli[cluster]'",
        ) from error

    @contextmanager
    def make() -> Iterator[Executor]:
        where = {"address": address} if file is None else {"scheduler_file": str(file)}
        try:
            # How long it waits is dask's own setting: distributed.comm.timeouts.connect.
            client = cast(_Client, Client(**where, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                f"no scheduler answers at {address or file}: {error}",
                hint="start one: dask scheduler --scheduler-file FILE",
            ) from error
        try:
            yield client.get_executor(retries=1)
        finally:
            client.close()

    return make
