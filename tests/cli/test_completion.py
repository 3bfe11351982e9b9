"""Completion: the scripts are fresh, and a real bash is offered what there is."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs.generate import ROOT, SHELLS, completion_script

BIN = str(Path(sys.executable).parent)


@pytest.mark.parametrize("shell", list(SHELLS))
def test_scripts_are_fresh(shell: str) -> None:
    stored = (ROOT / "completions" / SHELLS[shell]).read_text(encoding="utf-8")
    assert stored == completion_script(shell), "run 'make completions'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("completion")
    for run in ("runs/first", "runs/second", "run3", "old/nlsq"):
        (home / run).mkdir(parents=True)
        (home / run / "parameters.json").write_text("{}")
    (home / "config.yaml").write_text("analysis_mode: static\n")
    (home / "fix.yaml").write_text("optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1\n")
    for name in ("data.h5", "cache.npz", "notes.txt"):
        (home / name).touch()
    (home / "empty").mkdir()
    return home


def bash_offers(folder: Path, *words: str) -> list[str]:
    """Ask the script in a bash for completions of the last word."""
    line = " ".join(f"'{word}'" for word in words)
    script = (
        f"source {ROOT}/completions/homodyne.bash\n"
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        '_homodyne_completion homodyne; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("homodyne", "di"), ["diagnose"]),
        (("homodyne", "diagnose", "ru"), ["run3", "runs/first", "runs/second"]),
        (("homodyne", "diagnose", "runs/s"), ["runs/second"]),
        (("homodyne", "verify", "o"), ["old"]),
        (("homodyne", "verify", "run3", "--baseline", "runs/f"), ["runs/first"]),
        (("homodyne", "verify", "e"), []),
        (("homodyne", "fit", ""), ["config.yaml"]),
        (("homodyne", "fit", "config.yaml", "--data", ""), ["cache.npz", "data.h5"]),
        (("homodyne", "apply-scale", "config.yaml", ""), ["fix.yaml"]),
        (("homodyne", "diagnose", "run3", "--baseline", "gam"),
         ["gamma_dot_t0", "gamma_dot_t_offset"]),
        (("homodyne", "diagnose", "run3", "--baseline", "D0,D"), ["D0,D_offset"]),
        (("homodyne", "fit", "config.yaml", "--set", "optimization.nlsq.lo"),
         ["optimization.nlsq.loss="]),
        (("homodyne", "fit", "config.yaml", "--set", "nothing"), []),
    ],
)  # fmt: skip
def test_bash_is_offered(folder: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert bash_offers(folder, *words) == offered


def test_tab_in_an_interactive_bash_completes_a_run(folder: Path) -> None:
    """Keys pressed on a terminal: the only run that begins so is filled in."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> "}
    terminal, inner = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=folder,
        env=environment,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    try:
        os.write(terminal, f"source {ROOT}/completions/homodyne.bash; echo rea''dy\n".encode())
        assert b"ready\r\n> " in _read_until(terminal, b"ready\r\n> ", seconds=30.0)
        os.write(terminal, b"homodyne diagnose runs/sec\t")
        assert b"runs/second" in _read_until(terminal, b"runs/second", seconds=60.0)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def _read_until(terminal: int, wanted: bytes, seconds: float) -> bytes:
    seen, end = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096)
    return seen


@pytest.mark.parametrize(
    "line",
    ["homodyne diagnose ", "homodyne fit --set ", "homodyne fit --data ",
     "homodyne diagnose --baseline "],
)  # fmt: skip
def test_completion_does_not_import_jax(folder: Path, line: str) -> None:
    code = (
        "import sys; sys.argv = ['homodyne']\n"
        "from homodyne_cli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', [m for m in ('jax', 'scipy', 'h5py', 'matplotlib') if m in sys.modules])\n"
    )
    environment = {
        **os.environ,
        "_HOMODYNE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "HEAVY []" in done.stdout
    assert len(done.stdout.splitlines()) > 1
