"""A directory that gets its name when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from homodyne_cli.errors import OutputError
from homodyne_cli.io.files.interrupts import uninterrupted
from homodyne_cli.io.files.outputs import output_errors, refuse_existing
from homodyne_cli.io.files.staging import Staging, clear_leftovers, staging_beside


class NewDirectory:
    """A directory that is being written.

    Attributes
    ----------
    path
        Where to write.
    target
        Where it is once it has been put in place: the place asked for, or one beside it.
    """

    def __init__(self, staging: Staging, target: Path, final: Path, replaced: str | None) -> None:
        self.path = staging.made / "directory"
        self.target = target
        self._staging = staging
        self._final = final
        self._replaced = replaced

    @property
    def scratch(self) -> Path:
        """A folder on the same disk for temporary files."""
        return self._staging.made

    @property
    def notes(self) -> list[str]:
        """What the user should know about it."""
        return self._staging.notes

    def put_in_place(self) -> None:
        """Rename the directory to its place, and if that is taken, to a free one beside it.

        What is replaced can be taken back at any moment before it is removed.

        Raises
        ------
        OutputError
        """
        with output_errors(self.target), uninterrupted():
            try:
                # The file that marks what may be replaced; None where nothing may.
                replaces = self._replaced and (self._final / self._replaced).is_file()
                if replaces:
                    self._staging.put_aside(self._final)
                self.path.rename(self._final)
            except OSError as error:
                self._staging.restore()
                if not os.path.lexists(self._final):
                    raise
                reason = f"cannot be replaced ({error.strerror})" if replaces else "is taken by now"
                beside = self._rename_beside()
                self.notes.append(f"{self.target} {reason}: this result is in {beside}")
                self.target = beside

    def _rename_beside(self) -> Path:
        number = 2
        while True:
            beside = self.target.with_name(f"{self.target.name}-{number}")
            try:
                if not os.path.lexists(beside):
                    self.path.rename(beside)
                    return beside
            except OSError:
                if not os.path.lexists(beside):
                    raise
            number += 1


@contextmanager
def new_directory(target: Path, *, force: bool, marker: str) -> Iterator[NewDirectory]:
    """Yield a directory to be written and put in place; without that nothing of it stays.

    Parameters
    ----------
    force
        Replace a directory that is there.
    marker
        File that a directory must hold to be replaced.

    Raises
    ------
    OutputError
        If `target` exists and may not be replaced, or cannot be written.
    """
    refuse_existing(target, force=force)
    with ExitStack() as held:
        with output_errors(target):
            final = Path(os.path.realpath(target)) if force else target.absolute()
            if os.path.lexists(final) and not (final / marker).is_file():
                raise OutputError(
                    f"{target}: --force replaces run directories only, and this is not one",
                    hint=f"a run directory holds {marker}; choose another -o",
                )
            if os.path.lexists(final) and not os.access(final, os.W_OK):
                raise OutputError(
                    f"{target}: read-only", hint="make it writable, or choose another -o"
                )
            final.parent.mkdir(parents=True, exist_ok=True)
            leftovers = clear_leftovers(final.parent)
            staging = held.enter_context(staging_beside(final.parent))
            staging.notes += leftovers
            new = NewDirectory(staging, target, final, marker if force else None)
            new.path.mkdir()
        yield new
