"""The exit codes, and the one exception tree.

Every error that a user can cause carries the exit code of the command and a hint of what
would be accepted. ``cli/app.py`` turns them into messages, in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from homodyne_cli.findings.codes import Code

#: Likeness of two names, by `difflib`, from which one may be the other mistyped.
_ALIKE = 0.66


class ExitCode(IntEnum):
    """How a command ends; `NEGATIVE` is a finding against the fit or the data, not an error."""

    GOOD = 0
    NEGATIVE = 1
    USAGE = 2
    DATA = 3
    INTERNAL = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Location:
    """A place in a text file; line and column count from 1, None where unknown."""

    path: Path | None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        name = "<config>" if self.path is None else str(self.path)
        if self.line is None:
            return name
        if self.column is None:
            return f"{name}:{self.line}"
        return f"{name}:{self.line}:{self.column}"


def resembling(path: Path, otherwise: str | None = None) -> str | None:
    """Return a hint at the name in a folder that a mistyped one is most like, or another hint."""
    import difflib

    try:
        names = [one.name for one in path.absolute().parent.iterdir()]
    except OSError:
        return otherwise
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=_ALIKE)
    return f"did you mean {path.with_name(close[0])}?" if close else otherwise


class HomodyneError(Exception):
    """Base of all errors that this package raises on purpose.

    Parameters
    ----------
    message
        What is wrong and where, with the value seen.
    hint
        What would be accepted, or what to do next.
    code
        What kind of error it is; None: that of its class.
    """

    exit_code = ExitCode.INTERNAL
    code: Code = Code.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None, code: Code | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        #: Whether what the command printed for scripts already holds it.
        self.answered = False
        if code is not None:
            self.code = code


class UsageError(HomodyneError):
    """The command line asks for something impossible (exit 2)."""

    exit_code = ExitCode.USAGE
    code = Code.USAGE


class ConfigError(UsageError):
    """A config or fix file is wrong; the message begins with file:line:column (exit 2)."""

    code = Code.CONFIG

    def __init__(
        self,
        message: str,
        *,
        location: Location | None = None,
        hint: str | None = None,
        code: Code | None = None,
    ) -> None:
        where = "" if location is None else f"{location}: "
        super().__init__(f"{where}{message}", hint=hint, code=code)
        self.location = location


class OutputError(UsageError):
    """The output place exists already or cannot be written (exit 2)."""

    code = Code.OUTPUT


class DataError(HomodyneError):
    """A data file or run directory cannot be read or makes no sense (exit 3).

    Parameters
    ----------
    message
        What is wrong, with the value seen.
    path
        The file, and `dataset` the path inside it.
    """

    exit_code = ExitCode.DATA
    code = Code.DATA

    def __init__(
        self,
        message: str,
        *,
        path: Path | None = None,
        dataset: str | None = None,
        hint: str | None = None,
        code: Code | None = None,
    ) -> None:
        where = "" if path is None else f"{path}: "
        inside = "" if dataset is None else f"{dataset}: "
        super().__init__(f"{where}{inside}{message}", hint=hint, code=code)
        self.path = path
        self.dataset = dataset


class FitError(HomodyneError):
    """The fit cannot be done on these data with these settings (exit 3)."""

    exit_code = ExitCode.DATA
    code = Code.UNFIT


class FitInterruptedError(HomodyneError):
    """Raised by who is told of a fit's steps, to end it at the best point so far (exit 130)."""

    exit_code = ExitCode.INTERRUPTED
    code = Code.INTERRUPTED


class StreamedError(UsageError):
    """Maps larger than the memory budget were asked for as a whole (exit 2)."""

    code = Code.STREAMED


class DerivativeError(HomodyneError):
    """The fused gradient and finite differences disagree: a defect, not a user error (exit 4)."""

    code = Code.DERIVATIVE
