"""The command line as a process: streams that cannot break a command, signals that end it.

This module imports next to nothing, so that Ctrl-C is answered from the first moment on.

Streams. A result that nobody reads is no failure of the command: to a broken pipe and a closed
stream nothing is written any more, and the exit code stays what the command found (ripgrep does the
same; 141, what the shell shows of a process that SIGPIPE ended, would hide a finding). Where output
is lost against the reader's will, as on a full disk, the command still does all it was asked for,
then says so and ends with 2. A closed descriptor is opened on nothing: the next file would get its
number, and with it what libraries print.

Signals. SIGINT, SIGTERM and SIGHUP end the process at once with 130, after what
`io.files.interrupts` has put in front.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from homodyne_cli.io.files.interrupts import ENDING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

INTERRUPTED = 130
UNWRITTEN = 2
#: Objects after which the collector looks for rings of what nobody else refers to; commands make
#: few, and imports leave 200,000 objects that would be gone through again and again: 8% of a fit of
#: 3 x 200.
_COLLECTED_AFTER = 50_000
_SHOW_CURSOR = b"\x1b[?25h"


def main() -> None:
    """Run the command line and end the process."""
    gc.set_threshold(_COLLECTED_AFTER)
    out, _ = streams = [_Stream(descriptor) for descriptor in _descriptors()]
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        _replace(name, stream)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    code = _run()
    # What remains is to take the interpreter down, for which there is no handler.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    if out.error is not None and not isinstance(out.error, BrokenPipeError):
        reason = os.strerror(out.error.errno or 0)
        sys.stderr.write(f"error: standard output cannot be written: {reason}\n")
        code = max(code, UNWRITTEN)
    sys.exit(code)


def _run() -> int:
    try:
        from homodyne_cli.cli.app import main as run_command

        run_command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + b"interrupted\n")
    os._exit(INTERRUPTED)


def _descriptors() -> tuple[int, int]:
    """Return those of stdout and stderr, opened on nothing if they are closed, as is stdin's."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free is given.
            os.open(os.devnull, os.O_RDWR)
    return 1, 2


class _Stream(io.FileIO):
    """A stream that takes everything, and remembers the error since which it keeps nothing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


def _replace(name: str, stream: _Stream) -> None:
    """Let ``sys.stdout`` or ``sys.stderr`` write to a stream; the console of Windows is left."""
    former = getattr(sys, name)
    # Unbuffered (python -u), the stream has no other below it.
    buffer = getattr(former, "buffer", None)
    if former is None or isinstance(getattr(buffer, "raw", buffer), io.FileIO):
        text = io.TextIOWrapper(
            io.BufferedWriter(stream),
            encoding=getattr(former, "encoding", "utf-8"),
            # Names of files may hold what no encoding has.
            errors="backslashreplace",
            line_buffering=name == "stderr" or stream.isatty(),
        )
        setattr(sys, name, text)
