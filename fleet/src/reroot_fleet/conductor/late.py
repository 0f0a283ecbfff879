"""Asks machines that were held whether they answer after all, and lets their jobs be taken up again.

Every conductor does: whoever is first writes it down, and the reconciler posts the job. What the machine said
is written with it, and takes a job up once: one that is held again for the same thing waits for a person.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from reroot_fleet.machine.faults import MachineFault
from reroot_fleet.memory import events, jobs, machines
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.policy import late
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.machine.seam import Machine
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.host import Host
    from reroot_fleet.values.job import Job

LOG = logging.getLogger(__name__)


class Latecomers:
    """Held machines, asked now and then."""

    def __init__(
        self, memory: Memory, clock: Clock, who: str, machine: Callable[[Host], Machine]
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._who = f"conductor {who}"
        self._machine = machine
        self._next: dict[str, datetime] = {}

    def look(self) -> None:
        """Asks whose time has come."""
        with self._memory.read() as c:
            held = [j for j in jobs.select(c, states=(JobState.HELD,)) if late.is_asked(j)]
            hosts = {j.id: machines.get(c, j.host) for j in held}
        now = self._clock.now()
        self._next = {j.id: self._next.get(j.id, now) for j in held}
        for job in held:
            host = hosts[job.id]
            if host is not None and now >= self._next[job.id]:
                self._next[job.id] = now + late.pause(job, now)
                self._ask(job, host)

    def _ask(self, job: Job, host: Host) -> None:
        machine = self._machine(host)
        digest = job.image_wanted
        try:
            machine.greet()
            status = machine.look(digest).status
        except MachineFault:
            return  # as it was when it was held
        found = late.evidence(job, status)
        if found is not None:
            self._take_up(job, found)

    def _take_up(self, job: Job, found: str) -> None:
        event = Event(
            self._clock.now(),
            self._who,
            What.JOB_TAKEN_UP,
            job.night,
            job.host,
            job.id,
            why=found,
            detail={"evidence": found},
        )
        with self._memory.begin() as c:
            told = [e for e in events.read(c, job=job.id) if e.what is What.JOB_TAKEN_UP]
            if any(e.detail.get("evidence") == found for e in told):
                return
            try:
                jobs.record(c, event, expect=jobs.Expected(states=(JobState.HELD,)))
            except Conflict:
                return  # another conductor or a person was faster
        LOG.warning("%s answers after all and is taken up again: %s", job.id, found)
