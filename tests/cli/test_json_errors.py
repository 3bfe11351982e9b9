"""With --json there is one object on stdout, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import homodyne


def error_of(text: str) -> dict[str, object]:
    answer = json.loads(text)
    assert set(answer) == {"error"}
    error = answer["error"]
    assert isinstance(error, dict)
    assert set(error) == {"code", "message", "hint", "exit_code"}
    return error


@pytest.mark.parametrize(
    ("words", "code", "exit_code", "said"),
    [
        (("fit", "nothing.yaml"), "H202", 2, "nothing.yaml"),
        (("fit", "config.yaml", "--set", "noise.sigmas=1"), "H102", 2, "sigmas"),
        (("fit", "config.yaml", "--data", "gone.h5", "-o", "x"), "H202", 3, "gone.h5"),
        (("verify", "nowhere"), "H202", 3, "nowhere"),
        (("fit", "config.yaml", "--colour"), "H101", 2, "--colour"),
        (("diagnose", "a", "--threshold", "high"), "H101", 2, "valid number"),
        (("fit",), "H101", 2, "CONFIG"),
        (("fit", "config.yaml", "-o", "a", "-o", "b"), "H101", 2, "more than once"),
    ],
)
def test_errors_are_one_object(
    folder: Path, words: tuple[str, ...], code: str, exit_code: int, said: str
) -> None:
    done = homodyne(*words, "--json", cwd=folder)
    error = error_of(done.stdout)
    assert (error["code"], error["exit_code"], done.returncode) == (code, exit_code, exit_code)
    assert said in str(error["message"])
    # People read it on stderr as before.
    assert said in done.stderr


def test_a_fit_that_cannot_be_saved_is_there_with_the_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from homodyne_cli.errors import OutputError
    from homodyne_cli.io.run import save_run

    def full(*_args: object, **_options: object) -> None:
        raise OutputError("no space left", hint="free some")

    monkeypatch.setattr(save_run, "save_run", full)
    done = homodyne("fit", "config.yaml", "-o", "run", "--no-plots", "--json", cwd=folder)
    answer = json.loads(done.stdout)
    assert answer["run_dir"] is None
    assert answer["parameters"]["D0"]["value"] > 0.0
    assert answer["error"]["code"] == "H103"
    assert done.returncode == 2


def test_a_defect_is_an_object_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from homodyne_cli import flow

    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(flow, "make_run", broken)
    done = homodyne("fit", "config.yaml", "--json", cwd=folder)
    error = error_of(done.stdout)
    assert (error["code"], error["exit_code"]) == ("H902", 4)
    assert "something else" in str(error["message"])
