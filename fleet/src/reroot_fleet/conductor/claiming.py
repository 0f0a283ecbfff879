"""From a posting to a desk: what a conductor does once it has a job's claim on the board."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.flow.desk import TICKET_S, Desk, Seams
from reroot_fleet.flow.outcome import Wait
from reroot_fleet.flow.records import FlowRecord, unfinished
from reroot_fleet.machine.seam import Hooks, ImageFile, Machine
from reroot_fleet.memory import images, jobs, machines, nights
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from reroot_fleet.board.lease import Lease
    from reroot_fleet.flow.copies import Copies
    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.host import Host

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """What a conductor works with, the same for all jobs."""

    memory: Memory
    clock: Clock
    who: str
    process: str
    """The conductor's name and this process's own mark."""
    machine: Callable[[Host], Machine]
    hooks: Callable[[Mapping[str, str]], Hooks]
    copies: Copies
    leaving: threading.Event
    ticket_s: float = TICKET_S


def sit_down(site: Site, job_id: str, lease: Lease) -> Desk | None:
    """Takes the job over in the memory; nothing where there is nothing to do for it."""
    with site.memory.begin() as c:
        job = jobs.get(c, job_id)
        if job is None or job.state in {JobState.QUEUED, JobState.HELD, JobState.DONE}:
            return None
        if job.state.ended and job_id not in unfinished(c):
            return None
        night, host = nights.get(c, job.night), machines.get(c, job.host)
        digest = job.image_wanted
        image = images.by_digest(c, digest)
        if night is None or host is None or image is None:
            LOG.error("%s cannot be run: its night, host or image is not in the memory", job_id)
            return None
        record = FlowRecord.claim(c, site.memory, job_id, site.process)
        if job.state.ended:
            # A halt ended it while nobody had it: what was taken out of service goes back.
            record.notes.setdefault(
                "ending", {"state": str(job.state), "cause": job.cause or "", "told": True}
            )
        else:
            try:
                job = _claimed(c, site, job)
            except Conflict:
                return None
        pause = jobs.pause_of(c, job_id)
    seams = Seams(
        site.memory,
        site.clock,
        site.who,
        site.machine(host),
        site.hooks(night.policy.hooks),
        ImageFile(digest, Path(image.path), image.bytes),
        site.copies,
        site.leaving,
        site.ticket_s,
    )
    # What is undone has tries of its own.
    tries = 0 if "ending" in record.notes else pause.tries
    desk = Desk(seams, job, night, record, lease, tries=tries)
    if pause.again_at is not None and pause.again_at > site.clock.now():
        desk.wait = Wait(pause.again_at)
    return desk


def _claimed(c: Connection, site: Site, job: Job) -> Job:
    event = Event(
        site.clock.now(),
        f"conductor {site.who}",
        What.JOB_CLAIMED,
        job.night,
        job.host,
        job.id,
        detail={"conductor": site.who},
    )
    return jobs.record(c, event, expect=jobs.Expected(states=(JobState.POSTED, JobState.RUNNING)))
