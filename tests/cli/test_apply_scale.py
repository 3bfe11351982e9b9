from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from homodyne_cli.cli.runs.apply_scale import ApplyScaleRequest, run_apply_scale
from homodyne_cli.errors import ConfigError, OutputError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.io.files.outputs import write_file

FIX = "# by homodyne diagnose\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
BEFORE = b"\xef\xbb\xbfanalysis_mode: static\r\noptimization: # here\r\n   nlsq: {ftol: 1e-8}"
AFTER = BEFORE[:-1] + b", x_scale_map: {D0: 1.195}}"


class Case:
    """A config and a fix, and the command on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config.yaml"
        self.fix = directory / "fix.yaml"
        self.config.write_bytes(BEFORE)
        self.fix.write_text(FIX, encoding="utf-8")

    def run(
        self,
        *,
        config: Path | None = None,
        output: Path | None = None,
        dry_run: bool = False,
        backup: bool = True,
        force: bool = False,
    ) -> int:
        return run_apply_scale(
            ApplyScaleRequest(
                config or self.config, self.fix, output, dry_run, no_backup=not backup, force=force
            )
        )

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture
def umask() -> Iterator[None]:
    old = os.umask(0o027)
    yield
    os.umask(old)


def test_the_config_is_edited_and_the_old_one_kept(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    assert case.run() == 0
    assert case.config.read_bytes() == AFTER
    assert (case.directory / "config.yaml.bak").read_bytes() == BEFORE
    assert case.names() == ["config.yaml", "config.yaml.bak", "fix.yaml"]
    out, err = capsys.readouterr()
    assert "1 added, 0 changed; written, the old one is" in err
    assert [line.split()[0] for line in err.splitlines()] == [f"{case.config}:", "Next:"]
    assert "\x1b" not in out + err


def test_the_difference_is_a_patch(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    case.run(dry_run=True)
    assert capfd.readouterr().out == (
        f"--- {case.config}\n+++ {case.config}\n@@ -1,3 +1,3 @@\n analysis_mode: static\r\n"
        " optimization: # here\r\n"
        "-   nlsq: {ftol: 1e-8}\n\\ No newline at end of file\n"
        "+   nlsq: {ftol: 1e-8, x_scale_map: {D0: 1.195}}\n\\ No newline at end of file\n"
    )


def test_a_dry_run_writes_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.run(dry_run=True, output=case.directory / "other.yaml") == 0
    assert case.names() == ["config.yaml", "fix.yaml"]
    assert case.config.read_bytes() == BEFORE
    assert "nothing written (--dry-run)" in capsys.readouterr().err


def test_applying_twice_changes_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.run()
    stamp = case.config.stat().st_mtime_ns, case.config.stat().st_ino
    capsys.readouterr()
    assert case.run() == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "x_scale_map has these values already; nothing to change" in err
    assert (case.config.stat().st_mtime_ns, case.config.stat().st_ino) == stamp
    assert case.names() == ["config.yaml", "config.yaml.bak", "fix.yaml"]


def test_an_earlier_backup_is_never_overwritten(case: Case) -> None:
    (case.directory / "config.yaml.bak").write_text("first", encoding="utf-8")
    (case.directory / "config.yaml.bak.1").symlink_to("nowhere")
    case.run()
    assert (case.directory / "config.yaml.bak").read_text(encoding="utf-8") == "first"
    assert (case.directory / "config.yaml.bak.2").read_bytes() == BEFORE
    assert not (case.directory / "nowhere").exists()


def test_no_backup(case: Case) -> None:
    case.run(backup=False)
    assert case.config.read_bytes() == AFTER
    assert case.names() == ["config.yaml", "fix.yaml"]


def test_another_output_leaves_the_config_alone(case: Case) -> None:
    other = case.directory / "other.yaml"
    case.run(output=other)
    assert case.config.read_bytes() == BEFORE
    assert other.read_bytes() == AFTER
    assert case.names() == ["config.yaml", "fix.yaml", "other.yaml"]


def test_an_existing_output_needs_force(case: Case) -> None:
    other = case.directory / "other.yaml"
    other.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"other.yaml: already exists"):
        case.run(output=other)
    assert other.read_text(encoding="utf-8") == "mine"
    case.run(output=other, force=True)
    assert other.read_bytes() == AFTER


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permissions_stay(case: Case, mode: int) -> None:
    case.config.chmod(mode)
    case.run()
    assert case.config.stat().st_mode & 0o7777 == mode
    assert (case.directory / "config.yaml.bak").stat().st_mode & 0o7777 == mode


@pytest.mark.usefixtures("umask")
def test_a_new_file_follows_the_umask(case: Case) -> None:
    case.run(output=case.directory / "other.yaml")
    assert (case.directory / "other.yaml").stat().st_mode & 0o777 == 0o640


def test_the_target_of_a_symbolic_link_is_edited(case: Case) -> None:
    links = case.directory / "links"
    links.mkdir()
    link = links / "link.yaml"
    link.symlink_to(Path("..") / "config.yaml")
    case.run(config=link)
    assert link.readlink() == Path("..") / "config.yaml"
    assert case.config.read_bytes() == AFTER
    assert not case.config.is_symlink()
    assert (links / "link.yaml.bak").read_bytes() == BEFORE


def test_a_bad_fix_leaves_everything_as_it_was(case: Case) -> None:
    case.fix.write_text(FIX.replace("1.195", "-1.195"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"fix.yaml:5:11: .*x_scale_map.D0 is -1.195"):
        case.run()
    assert case.config.read_bytes() == BEFORE
    assert case.names() == ["config.yaml", "fix.yaml"]


def test_a_failed_write_leaves_no_backup(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"config.yaml: cannot be written: No space left"):
        case.run()
    assert case.config.read_bytes() == BEFORE
    assert case.names() == ["config.yaml", "fix.yaml"]


def test_a_read_only_config_is_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not bind root, who may be running the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(OutputError, match="read-only"):
        case.run()
    assert case.config.read_bytes() == BEFORE
    assert case.names() == ["config.yaml", "fix.yaml"]


def test_a_missing_config_or_fix_is_named(case: Case) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: no such file"):
        case.run(config=case.directory / "none.yaml")
    case.fix.unlink()
    with pytest.raises(ConfigError, match=r"fix.yaml: no such file"):
        case.run()


def test_only_files_are_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        write_file(tmp_path, b"", force=True)
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_file(tmp_path / "none" / "file", b"", force=True)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OutputError, match="cannot be written"):
        write_file(loop, b"", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


def test_x_scale_that_makes_the_map_idle_is_named(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    case.config.write_bytes(b"optimization: {nlsq: {x_scale: auto}}\n")
    assert case.run() == 0
    warning = f"warning: {case.config}:1:32: x_scale is auto, so the map has no effect"
    assert warning in capsys.readouterr().err
    assert b"x_scale: auto, x_scale_map: {D0: 1.195}" in case.config.read_bytes()


def test_the_result_is_a_config_that_fit_accepts(case: Case) -> None:
    case.config.write_text(template_text("laminar_flow"), encoding="utf-8")
    case.run()
    solver = load_config(case.config).problem.solver
    assert solver.x_scale == "config"
    assert solver.x_scale_map == {"D0": 1.195}


SCRIPT = """
import sys
from pathlib import Path
from homodyne_cli.cli.runs.apply_scale import ApplyScaleRequest, run_apply_scale
config, fix = map(Path, sys.argv[1:])
run_apply_scale(ApplyScaleRequest(config, fix, dry_run=True))
"""


def in_process(case: Case, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", SCRIPT, str(case.config), str(case.fix)]
    settings = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
    return subprocess.run(command, capture_output=True, env=settings | environment, check=True)


def test_a_pipe_gets_the_bytes_and_an_ascii_stream_ascii(case: Case) -> None:
    case.config.write_bytes("a: µ\r\noptimization: {nlsq: {}}\r\n".encode())
    pipe = in_process(case, PYTHONIOENCODING="utf-8").stdout
    assert " a: µ\r\n".encode() in pipe
    assert b"\x1b" not in pipe
    assert b" a: u\r\n" in in_process(case, PYTHONIOENCODING="ascii").stdout


def test_colour_on_request_and_not_against_no_color(case: Case) -> None:
    case.config.write_bytes(b"a: '[red]'\noptimization: {nlsq: {}}\n")
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "20"}
    coloured = in_process(case, **terminal).stdout.decode()
    assert "\x1b[32m+optimization" in coloured
    plain = in_process(case, **terminal, NO_COLOR="1").stdout.decode()
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
