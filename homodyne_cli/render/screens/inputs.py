"""What goes into a fit: what was resolved, from where, and what is doubtful in it."""

from __future__ import annotations

from rich.console import Console

from homodyne_cli.assessments import SavedFit
from homodyne_cli.dataset import Dataset
from homodyne_cli.render.console import print_sentence
from homodyne_cli.render.findings import print_findings
from homodyne_cli.render.tables import provenance_table


def show_input(console: Console, source: Dataset | SavedFit) -> None:
    """Print where the data came from, what had to be assumed, and what is doubtful."""
    console.print(provenance_table(source.provenance))
    for note in source.notes:
        print_sentence(console, f"Note: {note}")
    print_findings(console, source.findings or ())


def input_answer(dataset: Dataset) -> dict[str, object]:
    """Return what ``--json`` says of an input."""
    return {
        "resolved": dataset.provenance,
        "notes": dataset.notes,
        "findings": dataset.findings or (),
    }
