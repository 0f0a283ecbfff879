"""Gates between waves: everything of a wave confirmed, then a time to bake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.policy import Gate

NOT_COUNTED = frozenset({JobState.REFUSED, JobState.WITHDRAWN, JobState.QUEUED})
"""Nothing was changed on these machines: they neither confirm a wave nor speak against it."""


class Passage(StrEnum):
    """How a gate stands."""

    OPEN = "open"
    FILLING = "filling"
    """The wave before it has room for more machines."""
    RUNNING = "running"
    """Machines of the wave before it are on their way."""
    BAKING = "baking"
    SHUT = "shut"
    """Something of the wave before it failed."""


@dataclass(frozen=True, slots=True)
class WaveState:
    """A wave and the gate behind it."""

    passage: Passage
    members: int
    """Machines that count."""
    opens_at: datetime | None = None
    """When it will have baked."""

    @property
    def room(self) -> bool:
        """Whether a machine may be added to the wave."""
        return self.passage is Passage.FILLING


def latest(jobs: Iterable[Job]) -> list[Job]:
    """The last attempt for each host."""
    newest: dict[str, Job] = {}
    for job in jobs:
        before = newest.get(job.host)
        if before is None or before.attempt <= job.attempt:
            newest[job.host] = job
    return list(newest.values())


def wave_state(jobs: Iterable[Job], size: int, gate: Gate, now: datetime) -> WaveState:
    """How a wave of `size` machines stands, from its jobs."""
    counted = [j for j in latest(jobs) if j.state not in NOT_COUNTED]
    done = [j for j in counted if j.state is JobState.DONE]
    reverted = sum(j.state is JobState.REVERTED for j in counted)
    held = sum(j.state in {JobState.HELD, JobState.RESTORED} for j in counted)
    members = len(counted)
    if held > gate.held or reverted > gate.reverted:
        return WaveState(Passage.SHUT, members)
    if members < size:
        return WaveState(Passage.FILLING, members)
    if any(not j.state.ended for j in counted):
        return WaveState(Passage.RUNNING, members)
    ends = [j.ended_at for j in done if j.ended_at is not None]
    opens_at = max(ends) + gate.bake if ends else None
    if opens_at is None or now < opens_at:
        return WaveState(Passage.BAKING, members, opens_at)
    return WaveState(Passage.OPEN, members, opens_at)
