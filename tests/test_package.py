"""What is handed out: the wheel and the source archive, built from the files of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
import yaml

from docs.generate import ROOT
from homodyne_cli.version import VERSION

LINK = re.compile(r"\]\(([^)#:]+)\)")
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "dist", "demo_output", "results", "*.egg-info"
)
NAME = f"homodyne_cli-{VERSION}"
DOCUMENTS = f"{NAME}.data/data/share/doc/homodyne-cli"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built as `python -m build` builds them: the wheel from the archive."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), "source"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return folder


def test_the_source_archive_holds_what_the_readme_links_to(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {Path(name) for name in archive.getnames()}
    for link in (*LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")),
                 "tests/conftest.py", "Makefile", "LICENSE", "CITATION.cff"):  # fmt: skip
        assert Path(NAME) / link in names, link
    assert not [name for name in names if name.suffix == ".pyc"]


def test_the_wheel_holds_package_and_documents(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as archive:
        names = set(archive.namelist())
        metadata = message_from_string(archive.read(f"{NAME}.dist-info/METADATA").decode())
        scripts = archive.read(f"{NAME}.dist-info/entry_points.txt").decode()
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "homodyne_cli").rglob("*.py")}
    assert modules <= names
    assets = (ROOT / "homodyne_cli").glob("render/assets/*")
    assert {p.relative_to(ROOT).as_posix() for p in assets} | {"homodyne_cli/py.typed"} <= names
    for link in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        place = f"{DOCUMENTS}/{link}"
        assert any(name == place or name.startswith(f"{place}/") for name in names), link
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Author"] == "the homodyne developers"
    assert "homodyne-cli = homodyne_cli.cli.process:main" in scripts
    assert {name.split("/")[0] for name in names} == {
        "homodyne_cli", f"{NAME}.dist-info", f"{NAME}.data"
    }  # fmt: skip


def test_the_citation_names_version_and_licence_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == VERSION
    assert citation["license"] == project["license"]
    assert [{"name": a["name"]} for a in citation["authors"]] == project["authors"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("BSD 3-Clause License")


def test_every_dependency_has_an_oldest_release() -> None:
    """``make test-min`` installs exactly these."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for dependency in project["dependencies"]:
        assert re.fullmatch(r"[a-z0-9-]+>=\d+\.\d+\.\d+", dependency), dependency
