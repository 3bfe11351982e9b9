"""What a check with several criteria has to say, and how it becomes one line."""

from __future__ import annotations

from dataclasses import dataclass

from homodyne_cli.assessments import CheckStatus


@dataclass(frozen=True)
class Remark:
    """One thing that a check has to say; the worst remark decides."""

    status: CheckStatus
    message: str
    advice: str = ""


_SEVERITY: dict[CheckStatus, int] = {"n/a": 0, "pass": 1, "warn": 2, "fail": 3}


def worst_of(remarks: list[Remark], success: str) -> Remark:
    """Join the remarks of the worst status; `otherwise` is said when there are none."""
    if not remarks:
        return Remark("pass", success)
    status = max((r.status for r in remarks), key=_SEVERITY.__getitem__)
    chosen = [r for r in remarks if r.status == status]
    advice = dict.fromkeys(r.advice for r in chosen if r.advice)
    return Remark(status, "; ".join(r.message for r in chosen), "; ".join(advice))
