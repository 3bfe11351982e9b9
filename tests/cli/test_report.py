"""The report in a browser, and what it says without one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cli.conftest import homodyne
from tests.support.browser import visit

HOSTILE = "</script><script>throw Error('ran')</script><img src=https://example.org/x.png>"


@pytest.fixture(scope="module")
def page(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two runs; the name and the command of one of them are an attack."""
    folder = tmp_path_factory.mktemp("report")
    other = folder / "<img src=x onerror=throw(1)>&amp;"
    shutil.copytree(experiment / "run", other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["command_line"] = ["homodyne", HOSTILE]
    (other / "manifest.json").write_text(json.dumps(manifest))
    out = folder / "report.html"
    done = homodyne("report", "run", str(other), "-o", str(out), cwd=experiment)
    assert done.returncode == 0, done.stderr
    return out


def plot_data(page: Path) -> dict[str, list[dict[str, object]]]:
    text = page.read_text(encoding="utf-8")
    match = re.search("id='report-data'>(.*?)</script>", text, re.DOTALL)
    assert match is not None
    data: dict[str, list[dict[str, object]]] = json.loads(match[1])
    return data


def test_every_figure_is_drawn_and_nothing_else_happens(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path)
    assert seen.console == ()
    assert seen.requests == ()
    places = len(re.findall(r'data-plot="', seen.document))
    # Two runs: four curves each and four of both, correlation, history, two scalings, four maps and
    # two profiles each.
    assert places == 2 * 14 + 4
    assert f'data-drawn="{places}"' in seen.document
    assert seen.document.count('class="main-svg"') >= places
    assert "<img" not in seen.document


def test_a_run_without_shear_may_stand_first(experiment: Path, tmp_path: Path) -> None:
    """The other's curves are drawn all the same, and each table has its name."""
    config = tmp_path / "static.yaml"
    assert homodyne("init", "--mode", "static", "-o", str(config), cwd=tmp_path).returncode == 0
    static, out = str(tmp_path / "static"), tmp_path / "report.html"
    words = ("--data", "data.h5", "-o", static, "--no-plots", "-q", "--no-global")
    homodyne("fit", str(config), *words, cwd=experiment)
    done = homodyne("report", static, "run", "-o", str(out), cwd=experiment)
    assert done.returncode == 0, done.stderr
    seen = visit(out, tmp_path)
    assert seen.console == ()
    places = re.findall(r'data-plot="(\w+)"', seen.document)
    assert places.count("curves") == 4
    assert f'data-drawn="{len(places)}"' in seen.document
    names = re.findall(r"<h3>([^<]*)</h3>", seen.document)
    assert names[:3] == ["Parameters", "Quality", "Data"]


def test_what_a_browser_would_complain_of_is_noticed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><script src='http://127.0.0.1:9/x.js'></script><script>no()</script>"
    )
    seen = visit(bad, tmp_path)
    assert any("no is not defined" in line for line in seen.console)
    assert seen.requests == ("http://127.0.0.1:9/x.js",)


def test_the_verdict_comes_first_and_every_figure_has_words(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.index("class='verdict") < text.index("<table>")
    for label in re.findall(r"class='plot[^>]*aria-label='([^']*)'", text):
        assert len(label) > 25
    assert "SHA-256" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_maps_are_those_of_the_run(page: Path, experiment: Path) -> None:
    """Decoded by hand: the upper triangle row by row, to half a step of its levels."""
    import base64

    maps = plot_data(page)["runs"][0]["maps"]
    assert isinstance(maps, dict)
    packed, side = maps["angles"][1]["data"], maps["side"]
    levels = np.frombuffer(base64.b64decode(packed["bdata"]), dtype="<u2")
    with h5py.File(experiment / "run" / "fitted_data.h5") as file:
        c2 = file["c2"][1]
    assert side == len(c2)
    values = np.full((side, side), np.nan)
    values[np.triu_indices(side)] = packed["low"] + packed["step"] * levels
    i, j = np.triu_indices(side, 1)
    np.testing.assert_allclose(values[i, j], c2[i, j], atol=0.51 * packed["step"])
    assert (
        levels[np.flatnonzero(np.triu_indices(side)[0] == np.triu_indices(side)[1])] == 65535
    ).all()


def test_it_replaces_nothing_unasked(page: Path, experiment: Path) -> None:
    before = page.read_bytes()
    done = homodyne("report", "run", "-o", str(page), cwd=experiment)
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert page.read_bytes() == before
