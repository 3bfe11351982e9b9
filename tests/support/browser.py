"""Chromium without a screen: what a page comes to, what it complains of, what it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Seconds of the page's own clock.
_PATIENCE = 20
_NO_PAGE = "not an origin"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
    f"--virtual-time-budget={1000 * _PATIENCE}",
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """What came of opening a page."""

    document: str
    console: tuple[str, ...]
    requests: tuple[str, ...]


def chromium() -> str:
    """Return the browser, or skip the test; where everything has to be tested, fail."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return found


def visit(page: Path, folder: Path) -> Visit:
    """Open a page in a fresh browser; `folder` takes what the browser writes."""
    log = folder / "network.json"
    done = subprocess.run(
        [chromium(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
         "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = tuple(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
    # What the browser asks for of its own accord has no origin.
    events = [e.get("params", {}) for e in json.loads(log.read_text(encoding="utf-8"))["events"]]
    urls = {e["url"] for e in events if e.get("initiator", _NO_PAGE) != _NO_PAGE}
    outside = tuple(sorted(u for u in urls if not u.startswith(("file:", "data:", "blob:"))))
    return Visit(done.stdout, console, outside)
