"""Documents that follow from the program are fresh, and describe what it can say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

from docs.generate import ROOT, generated
from homodyne_cli.assessments import CheckResult, CheckStatus
from homodyne_cli.core.diagnosis import verdict
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.explanations import EXPLANATIONS, Explanation
from tests.support.render_samples import diagnosis

VERDICTS = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
PAGES = generated("docs")
CHECKS = (
    *("oscillations", "chi_squared", "uncertainties", "residuals"),
    *("gradient_balance", "convergence", "physical", "rings", "repeats", "rheometer"),
)
DECISIONS = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)#:]+)\)|`(docs/[\w./-]+)`")


@pytest.mark.parametrize("page", list(PAGES), ids=lambda p: p.name)
def test_generated_pages_are_fresh(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page](), "run 'make docs'"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_described(check: str) -> None:
    section = VERDICTS.split(f"### {check}\n")[1].split("###")[0]
    assert "`fail`" in section
    assert "`pass`" in section


def test_codes_are_explained_and_used() -> None:
    assert list(EXPLANATIONS) == list(Code)
    assert [CheckResult(check, "pass", None, None, "").code for check in CHECKS] == [
        code for code in Code if code.startswith("H5")
    ]
    package = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "homodyne_cli").rglob("*.py")
        if path.parent.name != "findings"
    )
    for code in Code:
        assert f"Code.{code.name}" in package or code.startswith("H5"), code


@pytest.mark.parametrize("explanation", EXPLANATIONS.values(), ids=list(EXPLANATIONS))
def test_an_explanation_is_whole_sentences(explanation: Explanation) -> None:
    title, *sentences = dataclasses.astuple(explanation)
    assert len(title) < 40
    for text in sentences:
        assert text.endswith(".")


def test_every_status_is_explained() -> None:
    for status in get_args(CheckStatus):
        assert f"`{status}`" in VERDICTS


def test_every_verdict_of_diagnose_is_explained() -> None:
    for premature in (True, False):
        for imbalance in (True, False):
            state = dataclasses.replace(diagnosis(), premature=premature, imbalance=imbalance)
            said = re.split(r" \(|,|\.", verdict(state)[0])[0]
            assert f"**{said}" in VERDICTS


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
                         ids=lambda p: p.name)  # fmt: skip
def test_links_lead_somewhere(page: Path) -> None:
    for relative, named in LINK.findall(page.read_text(encoding="utf-8")):
        target = ROOT / named if named else page.parent / relative
        assert target.exists(), f"{page.name}: {relative or named}"


#: Their options are those of benchmarks and other programs as well.
OTHERS = {
    "cluster.md", "testing.md", "decisions.md", "performance.md", "solver.md", "uncertainties.md",
}  # fmt: skip
WRITTEN = [
    *(page for page in (ROOT / "docs").rglob("*.md") if page.name not in OTHERS),
    ROOT / "README.md",
]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_options_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")))
    helped = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    known = set(re.findall(r"--[a-z][a-z-]*", helped))
    assert named - known == set()


def test_decisions_are_numbered_without_gaps() -> None:
    labels = re.findall(r"^- \*\*([A-Z])(\d+)\. ", DECISIONS, re.MULTILINE)
    assert len(labels) == DECISIONS.count("\n- ")
    for group in {letter for letter, _ in labels}:
        numbers = [int(number) for letter, number in labels if letter == group]
        assert numbers == list(range(1, len(numbers) + 1)), group


def test_cited_decisions_exist() -> None:
    labels = set(re.findall(r"^- \*\*([A-Z]\d+)\. ", DECISIONS, re.MULTILINE))
    for path in sorted((ROOT / "homodyne_cli").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        cited = set(re.findall(r"\bdecisions? ([A-Z]\d+)\b", text))
        assert cited <= labels, f"{path.name}: {cited - labels}"
