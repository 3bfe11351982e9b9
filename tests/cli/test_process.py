"""The process: its streams and signals, as the shell and a batch system treat it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOMODYNE = f"{sys.executable} -m homodyne_cli"
FIX = "x_scale_map: {D0: 1.5}\n"
#: Prints a patch and writes a file, without the numerical libraries.
APPLY = f"{HOMODYNE} apply-scale config.yaml fix.yaml -o new.yaml"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config and a fix."""
    (tmp_path / "config.yaml").write_text("analysis_mode: static\n", encoding="utf-8")
    (tmp_path / "fix.yaml").write_text(FIX, encoding="utf-8")
    return tmp_path


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unbuffered", ["", "PYTHONUNBUFFERED=1 "])
@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (APPLY, 0, "written to new.yaml"),
        # Nobody reads: the command does what it was asked for, and says what it found.
        (f"{APPLY} | true; exit ${{PIPESTATUS[0]}}", 0, "written to new.yaml"),
        (f"{APPLY} >&-", 0, "written to new.yaml"),
        (f"{APPLY} 2>&-", 0, ""),
        (f"{APPLY} >&- 2>&-", 0, ""),
        (f"{APPLY} <&- >&- 2>&-", 0, ""),
        (f"{APPLY} 2>/dev/full", 0, ""),
        # The reader loses something: that is an error, after all has been done.
        (f"{APPLY} >/dev/full", 2, "error: standard output cannot be written: No space left"),
    ],
)
def test_streams_cannot_break_a_command(
    folder: Path, line: str, code: int, told: str, unbuffered: str
) -> None:
    done = shell(unbuffered + line, folder)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "x_scale_map" in (folder / "new.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("streams", [">&-", "2>&-", "2>/dev/full", ">/dev/full", "| true"])
def test_a_mistake_stays_one_whatever_the_streams(folder: Path, streams: str) -> None:
    done = shell(
        f"{HOMODYNE} apply-scale none.yaml fix.yaml {streams}; exit ${{PIPESTATUS[0]}}", folder
    )
    assert done.returncode == 2


def test_a_closed_stream_is_not_the_next_file(folder: Path) -> None:
    # The lowest free number is given to the next file that is opened: what is printed went there.
    done = shell(f"{APPLY} >&- 2>&-", folder)
    assert done.returncode == 0
    text = (folder / "new.yaml").read_text(encoding="utf-8")
    assert text.startswith("analysis_mode: static\noptimization:\n")
    assert text.endswith("D0: 1.5\n")


def test_names_that_are_no_utf_8_are_spelt_out(folder: Path) -> None:
    done = shell(f"{HOMODYNE} apply-scale $'caf\\xe9.yaml' fix.yaml", folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: caf\\udce9.yaml: no such file")


#: Waits inside the block of a new file: something to be cleared up.
WAITS = """
import signal, sys, time
from pathlib import Path
from homodyne_cli.cli import process
from homodyne_cli.io.files.outputs import new_file
def run():
    with new_file(Path("out"), force=False) as made:
        made.write_text("half")
        print("ready", flush=True)
        time.sleep(60)
    return 0
process._run = run
process.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_with_130_and_leave_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130
    assert told == "interrupted\n"
    assert time.monotonic() - started < 30
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    # As nohup does with SIGHUP, and a shell with the SIGINT of what runs in the background.
    script = WAITS.replace("time.sleep(60)", "time.sleep(1)")
    process = subprocess.Popen(
        ["bash", "-c", 'trap "" HUP; exec "$0" -c "$1"', sys.executable, script],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") == "half"
