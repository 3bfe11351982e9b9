"""Commands in a process that is told of every attempt to reach a network, and refuses it.

    python -m tests.support.offline FOLDER

It listens to the interpreter's audit events, which sockets raise in C: no import can slip past, as
it could past a replaced function. Every attempt is printed, so that one whose error was caught
counts as well, and so is every process that is started, since it listens to itself alone.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

REACHING = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
)


def _tell(*words: object) -> None:
    # Not to `sys.stdout`, which a command's output is taken from.
    print(*words, file=sys.__stdout__, flush=True)


def refuse_network(event: str, arguments: Sequence[object]) -> None:
    """Tell and refuse what leads out of this machine; tell of processes that are started."""
    if event == "subprocess.Popen":
        _tell("starts", *map(str, arguments[1] if isinstance(arguments[1], list) else []))
    if event not in REACHING:
        return
    first = arguments[0]
    if isinstance(first, socket.socket) and first.family == getattr(socket, "AF_UNIX", None):
        return
    _tell("reaches", event, arguments[1:])
    raise OSError(f"no network here: {event}")


def _work(folder: Path) -> None:
    from tests.support.commands import Commands

    steps = Commands(shown=False)
    config, data, run = (str(folder / name) for name in ("config.yaml", "data.h5", "run"))
    page = str(folder / "report.html")
    for words in (
        ("init", "-o", config),
        ("simulate", config, "-o", data, "--frames", "40", "--noise", "0.01", "--phi", "0,30,60"),
        ("fit", config, "-o", run, "--quiet"),
        ("diagnose", run),
        ("verify", run, "--quiet"),
        ("report", run, "-o", page),
    ):
        _tell("ran", words[0], steps.run(*words))


if __name__ == "__main__":
    sys.addaudithook(refuse_network)
    if sys.argv[1:]:
        _work(Path(sys.argv[1]))
    else:
        socket.create_connection(("127.0.0.1", 9))
