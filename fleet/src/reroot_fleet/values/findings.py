"""What `check --json` says: a list of findings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from reroot_fleet.values.document import Fields
from reroot_fleet.values.problem import Place, Problem


class Verdict(StrEnum):
    """What a check says."""

    PASS = "pass"  # noqa: S105 - a verdict
    NOTE = "note"
    REFUSE = "refuse"
    FORCED = "forced"
    """It refuses, and the operator forces it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    code: str
    question: str
    verdict: Verdict
    found: str | None = None
    remedy: str | None = None


def parse_findings(text: str | bytes, *, host: str | None = None) -> tuple[Finding, ...]:
    """Reads `check --json`; raises `Problem`. An unknown verdict refuses."""
    attempted = "read the findings of check"
    try:
        found = json.loads(text)
    except (ValueError, UnicodeDecodeError) as e:
        raise Problem(attempted, f"they are no JSON: {e}", at=Place(host=host)) from e
    if isinstance(found, dict):
        found = found.get("findings")
    if not isinstance(found, list):
        raise Problem(attempted, "they are no list", at=Place(host=host))
    return tuple(_finding(f, host) for f in found)


def _finding(value: object, host: str | None) -> Finding:
    f = Fields(value, "findings[]", host=host)
    verdict = f.text("verdict")
    return Finding(
        code=f.text("code"),
        question=f.text_or_none("question") or "",
        verdict=Verdict(verdict) if verdict in set(Verdict) else Verdict.REFUSE,
        found=f.text_or_none("found"),
        remedy=f.text_or_none("remedy"),
    )
