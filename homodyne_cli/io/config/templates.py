"""The configs that ``homodyne init`` writes."""

from __future__ import annotations

from importlib.resources import files

from homodyne_cli.parameters import AnalysisMode


def template_text(mode: AnalysisMode) -> str:
    """Return a commented config for an analysis mode, as YAML text."""
    name = f"{mode}.yaml"
    return (files("homodyne_cli") / "templates" / name).read_text(encoding="utf-8")
