"""One thing that the user should know of an input before believing the fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from homodyne_cli.findings.codes import Code

#: A fit is made in spite of a warning, and an error refuses it; a note rests on what nobody said.
Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """Something about an input.

    Attributes
    ----------
    code
        What kind of thing it is.
    severity
        Whether a fit is refused for it.
    message
        What was seen, with the figures.
    remedy
        What to do; may be empty.
    option
        What to add to the command line if the suspicion is right; may be empty.
    """

    code: Code
    severity: Severity
    message: str
    remedy: str = ""
    option: str = ""

    @property
    def advice(self) -> str:
        """What to do, with what to type."""
        return ": ".join(part for part in (self.remedy, self.option) if part)
