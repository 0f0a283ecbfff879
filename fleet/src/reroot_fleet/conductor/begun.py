"""The jobs of a night that were let go: read once, and then only those that may have changed.

A job that has ended stays as it is, but for a person's word. So the ones on their way and the held ones
are read each time, and those by name that are among them no more; the numbers of jobs in each state tell
whether anything else has changed, and then everything is read again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reroot_fleet.memory import jobs
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from reroot_fleet.values.job import Job

LET_GO = tuple(state for state in JobState if state is not JobState.QUEUED)
"""Of jobs that are in the queue no more."""
MOVING = (JobState.POSTED, JobState.RUNNING, JobState.HELD)
"""Of jobs to which something may happen."""


class Begun:
    """Those of one night."""

    def __init__(self, night: str) -> None:
        self._night = night
        self._known: dict[str, Job] = {}

    def read(self, c: Connection, counts: Mapping[JobState, int]) -> list[Job]:
        """They, by machine. `counts`: how many jobs of the night are in each state."""
        known = self._known
        moving = {j.id: j for j in jobs.select(c, night=self._night, states=MOVING)}
        gone = [j.id for j in known.values() if j.state in MOVING and j.id not in moving]
        known.update(moving)
        if gone:
            known.update({j.id: j for j in jobs.some(c, gone)})
        if Counter(j.state for j in known.values()) != +Counter(
            {state: counts[state] for state in LET_GO}
        ):
            known = {j.id: j for j in jobs.select(c, night=self._night, states=LET_GO)}
            self._known = known
        return sorted(known.values(), key=lambda j: (j.host, j.attempt))
