"""Options: each acts or is refused with a reason; one definition makes help, parser, request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.main import get_command

from homodyne_cli.cli.app import app
from homodyne_cli.cli.options.command import add_command
from homodyne_cli.cli.options.shared import Force
from tests.cli.conftest import homodyne


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--output-dir x", "--output-dir: no config and no command"),
        ("--method nlsq", "--method: no config and no command"),
        ("--config config.yaml init", "--config: has no effect on the command 'init'"),
        ("--method nlsq --output-dir x init", "--method, --output-dir: has no effect"),
        ("--config a.yaml --config config.yaml", "--config: given more than once"),
        ("fit config.yaml --data a --data b", "--data: given more than once"),
        ("fit config.yaml -o a --output=b", "-o or --output: given more than once"),
        ("fit config.yaml --global --no-global", "--global or --no-global: given more than once"),
        ("fit config.yaml --set a.b=1 --set a.b=2", "a.b: set more than once"),
        ("fit config.yaml --data x --set experimental_data.file_path=y",
         "experimental_data.file_path: set more than once"),
        ("fit config.yaml --x-scale jac --set optimization.nlsq.x_scale=unit",
         "optimization.nlsq.x_scale: set more than once"),
        ("fit config.yaml -q -v", "--quiet and --verbose exclude each other"),
        ("diagnose run --force", "--force: there is nothing to replace without -o"),
        ("verify run --force", "--force: there is nothing to replace without --report"),
        ("apply-scale c.yaml f.yaml --force", "--force: there is nothing to replace without -o"),
        ("apply-scale c.yaml f.yaml --no-backup --dry-run", "--no-backup: the config is not"),
        ("apply-scale c.yaml f.yaml --no-backup -o d.yaml", "--no-backup: the config is not"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(tmp_path: Path, line: str, said: str) -> None:
    done = homodyne(*line.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}")
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["fti"], ["fit", "config.yaml", "--dta", "x"], ["diagnose", "--quite"]]
)
def test_a_mistyped_word_is_told_the_nearest_one(tmp_path: Path, words: list[str]) -> None:
    done = homodyne(*words, cwd=tmp_path)
    assert done.returncode == 2
    nearest = {"fti": "fit", "--dta": "--data", "--quite": "--quiet"}
    assert any(f"{nearest[word]}" in done.stderr for word in words if word in nearest)


@dataclass(frozen=True)
class Asked:
    """Count what is asked for.

    Example: homodyne count here -n 3
    """

    path: Annotated[Path, typer.Argument(help="Where.")]
    times: Annotated[int, typer.Option("-n", "--times", min=1, help="How often.")] = 2
    word: Annotated[list[str] | None, typer.Option(help="What.")] = None
    force: Force = False


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["here"], Asked(Path("here"))),
        (["here", "-n", "3", "--force", "--force"], Asked(Path("here"), 3, force=True)),
        (["--word", "a", "here", "--word", "b"], Asked(Path("here"), word=["a", "b"])),
    ],
)
def test_a_request_is_what_its_command_was_given(words: list[str], asked: Asked) -> None:
    requests: list[Asked] = []

    def run(request: Asked) -> int:
        requests.append(request)
        return 7

    app = typer.Typer(callback=lambda: None)
    add_command(app, "count", Asked, run)
    with pytest.raises(SystemExit) as stop:
        app(["count", *words])
    assert stop.value.code == 7
    assert requests == [asked]


def test_help_comes_from_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(callback=lambda: None, rich_markup_mode=None)
    add_command(app, "count", Asked, lambda _: 0)
    with pytest.raises(SystemExit):
        app(["count", "--help"])
    shown = capsys.readouterr().out
    for text in ("Count what is asked for.", "Where.", "-n, --times", "How often.", "[default: 2;",
                 "Example: homodyne count here -n 3"):  # fmt: skip
        assert text in shown


def test_the_truth_is_in_the_answer_for_scripts_too(folder: Path) -> None:
    done = homodyne("fit", "config.yaml", "-o", "run", "--no-plots", "--json",
                    "--truth", "config.yaml", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["parameters"]["D0"]["truth"] == 2e4


def test_a_profile_of_what_is_not_fitted_costs_no_fit(folder: Path) -> None:
    (folder / "data.h5").unlink()
    (folder / "data.h5").write_bytes(b"\x89HDF\r\n\x1a\nand no more")
    done = homodyne("fit", "config.yaml", "-o", "run", "--profile", "D0,D1", cwd=folder)
    assert done.returncode == 2
    assert "--profile D1: not a fitted parameter" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fit config.yaml --noise 3", "it is an option of plan and simulate"),
        ("verify run --threshold 3", "it is an option of diagnose"),
        ("fit config.yaml --profle D0", "did you mean --profile"),
        ("fit config.yaml --force true", "--force takes no value"),
        ("fit config.yaml my.h5 -q", "homodyne fit config.yaml -q --data my.h5"),
        ("apply-scale a.yaml b.yaml c.yaml", "homodyne apply-scale --help"),
        ("my.yaml", "homodyne fit my.yaml"),
        ("my.h5", "homodyne inspect my.h5"),
        ("run", "homodyne show run"),
    ],
)
def test_what_a_command_does_not_take_is_told_with_what_was_meant(
    tmp_path: Path, line: str, said: str
) -> None:
    for name in ("my.yaml", "my.h5", "config.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "run").mkdir()
    done = homodyne(*line.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert said in hint


def test_help_asks_for_no_value_where_none_is_taken(tmp_path: Path) -> None:
    """Nor does it break sentences where the source does, or speak of Python's types."""
    names = [name for name in vars(get_command(app))["commands"] if name != "demo"]
    texts = {name: homodyne(name, "--help", cwd=tmp_path, COLUMNS="80").stdout for name in names}
    for name, text in texts.items():
        assert "<bool>" not in text, name
        assert "list[" not in text, name
        assert "{" not in text, name
    assert "homodyne report [OPTIONS] RUN_DIR..." in texts["report"]
    assert "homodyne batch [OPTIONS] CONFIG [DATA...]" in texts["batch"]
    assert " more than 0.01 of its uncertainty." in texts["rerun"]
