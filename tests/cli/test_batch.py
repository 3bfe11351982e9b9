"""A batch of scans and rings: complete, resumed after a kill, the same fits that `fit` makes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homodyne_cli.assessments import BatchRow
from homodyne_cli.render.screens.batch import show_batch
from tests.cli.conftest import TEMPLATE, homodyne
from tests.support.layout_writers import Grid, aps_legacy, aps_u, nxxpcs

RINGS = (0.0054, 0.0081)
GRID = Grid(q=RINGS, phi=(-30.0, 0.0, 45.0), n=16)
#: What differs between two runs of one fit: when, and how long.
TIMES = re.compile(
    r'"(created|timestamp|seconds|execution_time|load|compile|fit|save|total)": [^\n]*'
)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans in three layouts: number 3 is cut short, number 7 has too few frames left."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    for number in range(12):
        path = folder / f"scan_{number:03d}.h5"
        if number % 3 == 0:
            aps_u(path, GRID, frame_time=0.1)
        elif number % 3 == 1:
            aps_legacy(path, GRID, period=0.1)
        else:
            nxxpcs(path, GRID)
    damaged = folder / "scan_003.h5"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    lines = ["file,analyzer_parameters.end_frame"]
    lines += [f"scan_{n:03d}.h5,{'3' if n == 7 else ''}" for n in range(12)]
    (folder / "scans.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


COMMAND = (
    *("batch", "template.yaml", "scan_*.h5", "--q", "all", "--table", "scans.csv"),
    *("-o", "results", "--jobs", "1", "--no-plots", "--quiet"),
)


@pytest.fixture(scope="module")
def batch(scans: Path) -> Path:
    """The batch, killed when a few fits were done and then run again."""
    code = "from homodyne_cli.cli.app import main; main()"
    rows = scans / "results" / "rows"
    with subprocess.Popen([sys.executable, "-c", code, *COMMAND], cwd=scans) as process:
        while process.poll() is None and len(list(rows.glob("*.json"))) < 4:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in scans.glob("results/*/manifest.json")}
    assert before
    done = homodyne(*COMMAND, cwd=scans)
    assert done.returncode == 1, done.stderr
    kept = {path: path.stat().st_mtime_ns for path in before}
    assert kept == before
    return scans / "results"


def rows_of(batch: Path) -> dict[str, dict[str, str]]:
    with (batch / "results.csv").open(encoding="utf-8", newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def test_every_scan_and_ring_has_its_row(batch: Path) -> None:
    rows = rows_of(batch)
    assert len(rows) == 11 * 2 + 1
    assert {name for name, row in rows.items() if row["state"] == "failed"} == {
        "scan_003", "scan_007_q0.0054", "scan_007_q0.0081",
    }  # fmt: skip
    assert rows["scan_003"]["exit_code"] == "3"
    assert "scan_003.h5" in rows["scan_003"]["error"]
    assert {row["q"] for row in rows.values() if row["state"] != "failed"} == {"0.0054", "0.0081"}
    assert sorted(p.name for p in batch.iterdir() if p.name.startswith(".")) == []


def test_rings_of_a_scan_differ(batch: Path) -> None:
    """The maps decay alike at both rings, so the coefficient goes as 1/q^2."""
    rows = rows_of(batch)
    for number in (0, 1, 2):
        inner, outer = (float(rows[f"scan_{number:03d}_q{q:g}"]["D0"]) for q in RINGS)
        assert inner / outer == pytest.approx((RINGS[1] / RINGS[0]) ** 2, rel=0.02)


def test_a_run_directory_is_what_fit_writes(batch: Path, scans: Path) -> None:
    name = "scan_001_q0.0081"
    manifest = json.loads((batch / name / "manifest.json").read_text(encoding="utf-8"))
    kept = scans / "kept"
    shutil.move(batch / name, kept)
    try:
        _, *words = manifest["command_line"]
        assert homodyne(*words, "--no-plots", "--quiet", cwd=scans).returncode == 0
        names = sorted(p.name for p in kept.iterdir())
        assert names == sorted(p.name for p in (batch / name).iterdir())
        for file in names:
            one, other = (folder / file for folder in (kept, batch / name))
            if file.endswith(".json"):
                texts = [TIMES.sub("", p.read_text(encoding="utf-8")) for p in (one, other)]
                texts = [re.sub(r'"command_line": \[[^]]*\]', "", text) for text in texts]
                assert texts[0] == texts[1], file
            elif not file.endswith(".h5"):
                assert one.read_bytes() == other.read_bytes(), file
    finally:
        shutil.rmtree(batch / name, ignore_errors=True)
        shutil.move(kept, batch / name)


def test_the_same_command_finds_nothing_to_do(batch: Path, scans: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in batch.glob("rows/*.json")}
    assert homodyne(*COMMAND, cwd=scans).returncode == 1
    assert {path: path.stat().st_mtime_ns for path in batch.glob("rows/*.json")} == before


def test_the_screen_says_what_came_out_and_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        BatchRow(f"s{k}", "", k, None, 0.0054, "", "converged", 0, checks={"residuals": v})
        for k, v in enumerate(("pass", "fail"))
    ]
    folder = Path("results")
    for shown, count, command in (
        (rows, "1 with a check that fails, 1 that passes", "verify results/s1"),
        (rows[:1] * 2, "2 that pass", "show results/s0"),
    ):
        show_batch(shown, folder / "results.csv", folder / "index.html")
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == f"2 fits: {count}"
        assert lines[-1] == f"Next: homodyne {command}"


def test_collect_makes_the_same_table(batch: Path, scans: Path) -> None:
    table = (batch / "results.csv").read_bytes()
    (batch / "results.csv").unlink()
    done = homodyne("batch", "template.yaml", "-o", "results", "--collect", "--json", cwd=scans)
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["fits"]) == 23
    assert (batch / "results.csv").read_bytes() == table


def test_the_overview_puts_what_failed_first(batch: Path) -> None:
    page = (batch / "index.html").read_text(encoding="utf-8")
    assert page.index("scan_003") < page.index("scan_000_q0.0054")
    assert "href='scan_000_q0.0054/'" in page
    # What is wrong stands before the figures; on narrow screens each cell says what it is.
    head = re.findall(r"<th scope='col'[^>]*>([^<]*)</th>", page)
    assert head[:5] == ["fit", "verdict", "what", "q (1/Å)", "D0"]
    failed = page[page.index("scan_003") :].partition("</tr>")[0]
    assert re.search(r"data-head='what'>[^<]*scan_003.h5", failed)
    assert "aria-label='D0 with 1-sigma error bars" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("template.yaml",), "no data files"),
        (("template.yaml", "nothing_*.h5"), "no such file"),
        (("template.yaml", "scan_000.h5", "--q", "many"), "neither 'all' nor"),
        (("template.yaml", "scan_000.h5", "--shard", "3/2"), "not a part like"),
        (("template.yaml", "scan_000.h5", "-o", "."), "not empty"),
    ],
)
def test_mistakes_are_told(scans: Path, words: tuple[str, ...], said: str) -> None:
    done = homodyne("batch", *words, cwd=scans)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_each_fit_has_a_page_that_the_overview_links(scans: Path, tmp_path: Path) -> None:
    """A page that is missing is made again, and the fit is not."""
    command = (
        *("batch", "template.yaml", "scan_001.h5", "scan_002.h5", "--reports", "--no-plots"),
        *("-o", str(tmp_path), "--jobs", "1", "--quiet"),
    )
    homodyne(*command, cwd=scans)
    pages = sorted(tmp_path.glob("*.report.html"))
    assert [page.name for page in pages] == ["scan_001.report.html", "scan_002.report.html"]
    overview = (tmp_path / "index.html").read_text(encoding="utf-8")
    for page in pages:
        assert f"href='{page.name}'" in overview
        assert "class='verdict" in page.read_text(encoding="utf-8")
    watched = (*tmp_path.glob("*/manifest.json"), pages[1])
    before = [path.stat().st_mtime_ns for path in watched]
    pages[0].unlink()
    homodyne(*command, cwd=scans)
    assert pages[0].is_file()
    assert [path.stat().st_mtime_ns for path in watched] == before
    refused = homodyne("batch", "template.yaml", "--collect", "--reports", cwd=scans)
    assert refused.returncode == 2
    assert "--reports has no effect" in refused.stderr
