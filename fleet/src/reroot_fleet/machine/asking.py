"""Asking a machine by day: may it go, and what would happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reroot_fleet.machine.faults import MachineFault
from reroot_fleet.machine.seam import Wishes
from reroot_fleet.values.findings import Verdict
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from reroot_fleet.machine.seam import ImageFile, Machine


@dataclass(frozen=True, slots=True)
class Asked:
    """What a machine answered."""

    may_go: bool
    codes: tuple[str, ...] = ()
    """Of the checks that refuse and that nobody has accepted."""
    reason: str = ""
    consent: str | None = None
    deadlines_s: int | None = None
    machine_class: str = ""
    notes: tuple[str, ...] = ()
    """What it says besides: notes of checks, warnings of the plan."""


def ask(machine: Machine, image: ImageFile, accepted: AbstractSet[str]) -> Asked:
    """Copy the image where it is missing, then ask for checks and plan. Nothing else changes."""
    wishes = Wishes(image.digest)
    try:
        if not machine.look(image.digest).image_there:
            machine.copy(image, None)
        findings = machine.check(wishes)
        refusing = [f for f in findings if f.verdict is Verdict.REFUSE]
        forced = tuple(f.code for f in refusing if f.code in accepted)
        standing = [f for f in refusing if f.code not in accepted]
        notes = tuple(f"{f.code}: {f.found or ''}" for f in findings if f.verdict is Verdict.NOTE)
        if standing:
            first = standing[0]
            codes = tuple(sorted(f.code for f in standing))
            return Asked(
                may_go=False,
                codes=codes,
                reason=f"{first.code}: {first.found or first.question}",
                notes=notes,
            )
        plan = machine.plan(Wishes(image.digest, force=forced))
    except MachineFault as fault:
        return Asked(may_go=False, codes=("unreachable",), reason=str(fault))
    except Problem as problem:
        return Asked(may_go=False, codes=("unreadable",), reason=str(problem))
    return Asked(
        may_go=True,
        consent=plan.consent,
        deadlines_s=plan.deadlines_s,
        machine_class=plan.machine_class.key,
        notes=notes + plan.warnings,
    )
