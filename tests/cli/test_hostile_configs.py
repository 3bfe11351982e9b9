"""What is no config ends every command with one error and exit code 2, and nothing is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from homodyne_cli.cli.app import main
from homodyne_cli.io.config.load import template_text

FIX = "x_scale_map: {D0: 1.2}\n"


def _pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(path)


def _device(path: Path) -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("no devices on this system")
    path.symlink_to("/dev/zero")


HOSTILE: Mapping[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": _pipe,
    "a device": _device,
    "ten million bytes of keys": lambda path: path.write_bytes(
        b"".join(b"key%06d: 1\n" % i for i in range(800_000))
    ),
    "depth": lambda path: path.write_bytes(b"[" * 100_000),
    "zeros": lambda path: path.write_bytes(b"\0" * 1000),
    "half of UTF-16": lambda path: path.write_bytes("analysis_mode: static".encode("utf-16")[:-1]),
}
COMMANDS = (
    ("fit", "bad.yaml", "-o", "run"),
    ("simulate", "bad.yaml", "-o", "out.h5"),
    ("apply-scale", "bad.yaml", "fix.yaml"),
    ("apply-scale", "good.yaml", "bad.yaml"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("kind", HOSTILE)
def test_one_error_and_nothing_written(
    kind: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = template_text("static")
    (tmp_path / "good.yaml").write_text(good, encoding="utf-8")
    (tmp_path / "fix.yaml").write_text(FIX, encoding="utf-8")
    HOSTILE[kind](tmp_path / "bad.yaml")
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["homodyne", *command])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert stopped.value.code == 2, said.err
    assert said.err.startswith("error: bad.yaml")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "good.yaml").read_text(encoding="utf-8") == good
