"""What pyproject.toml cannot say: documents go into the wheel with their folders."""

from collections import defaultdict
from pathlib import Path

from setuptools import setup

HOME = Path("share/doc/homodyne-cli")
TEXTS = (
    "*.md",
    "*.cff",
    "docs/**/*.md",
    "docs/**/*.png",
    "docs/**/*.ipynb",
    "docs/**/*.json",
    "completions/*",
    "examples/*.md",
    "examples/*.yaml",
    "examples/*.py",
    "examples/*.csv",
)

folders: dict[str, list[str]] = defaultdict(list)
for pattern in TEXTS:
    for path in sorted(Path().glob(pattern)):
        folders[(HOME / path.parent).as_posix()].append(path.as_posix())

setup(data_files=list(folders.items()))
