"""The rings of data files, read by a process of its own: a damaged file ends that one alone.

The process is used for one file after the other, so that many files cost little more than opening
them; which file ended it, or keeps it busy for ever, is then known.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from homodyne_cli.errors import DataError, HomodyneError
from homodyne_cli.io.formats.guard import DEADLY, ENDLESS, damaged

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Seconds after which opening a file will not come to an end.
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class FileRings:
    """Wave vectors in 1/Å, ascending; or why there are none."""

    q: tuple[float, ...]
    error: str = ""


Read = Callable[[Path], FileRings]


def read_rings(path: Path) -> FileRings:
    """Read the rings of one file in this process."""
    from homodyne_cli.io.formats.layouts import open_source
    from homodyne_cli.io.maps.select import ring_ids, ring_values

    try:
        with open_source(path) as source:
            if source.q is None:
                raise DataError(
                    "the file does not say its wave vectors",
                    path=path,
                    hint="name them: --q 0.0054,0.0081",
                )
            ids = ring_ids(source.q, source.phi) if source.rings is None else source.rings
            return FileRings(tuple(ring_values(source.q, ids).tolist()))
    except HomodyneError as error:
        return FileRings((), str(error))


def rings_of_files(
    paths: Sequence[Path], patience: float = _PATIENCE, read: Read = read_rings
) -> Mapping[Path, FileRings]:
    """Return the rings of each file.

    Parameters
    ----------
    patience
        Seconds that opening one may take.
    read
        Runs in the process that reads.
    """
    rings: dict[Path, FileRings] = {}
    waiting = list(dict.fromkeys(paths))
    while waiting:
        rings.update(_some(waiting, patience, read))
        waiting = [path for path in waiting if path not in rings]
    return rings


def _some(paths: Sequence[Path], patience: float, read: Read) -> Mapping[Path, FileRings]:
    """Read files one by one until one of them ends the process that reads."""
    rings: dict[Path, FileRings] = {}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    reader = context.Process(target=_read_all, args=(there, read), daemon=True)
    reader.start()
    there.close()
    with here:
        for path in paths:
            try:
                here.send(path)
                if here.poll(patience):
                    rings[path] = here.recv()
                    continue
                how = ENDLESS
            except (EOFError, OSError):
                how = DEADLY
            rings[path] = FileRings((), str(damaged(path, how)))
            break
    reader.kill()
    reader.join()
    return rings


def _read_all(there: Connection, read: Read) -> None:
    """Answer with the rings of one file after the other, until nobody asks."""
    with suppress(EOFError):
        while True:
            there.send(read(there.recv()))
