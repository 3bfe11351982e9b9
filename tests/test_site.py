"""The site and the man pages are made without a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from sphinx.cmd.build import build_main

from docs.generate import COMMANDS, ROOT


def build(builder: str, target: Path) -> int:
    words = ["-W", "--keep-going", "-q", "-b", builder, "-d", str(target.parent / "trees")]
    return build_main([*words, str(ROOT / "docs"), str(target)])


# Sphinx and its extensions have warnings of their own.
@pytest.mark.filterwarnings("default")
def test_site_and_man_pages_are_made(tmp_path: Path) -> None:
    assert build("html", tmp_path / "site") == 0
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    for page in pages:
        assert (tmp_path / "site" / page.with_suffix(".html")).is_file(), page
    index = (tmp_path / "site" / "searchindex.js").read_text(encoding="utf-8")
    assert "stator_rotor_gap" in index
    reference = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    for name in ("load_config", "Fit.plot_map", "VerifiedFit.passed", "ConfigError"):
        assert f'id="homodyne_cli.{name}"' in reference or f'{name}"' in reference, name

    assert build("man", tmp_path / "man") == 0
    manual = (tmp_path / "man" / "homodyne.1").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"homodyne {command}".strip().replace("-", r"\-") in manual
