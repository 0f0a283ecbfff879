"""A night in the middle, for tests of the page and for looking at it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from reroot_fleet.memory import conductors, jobs, machines, nights, outbox
from reroot_fleet.memory.conductors import Sign
from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy, WindowRule

if TYPE_CHECKING:
    from reroot_fleet.memory.database import Memory

NIGHT = "2026-11-28"
IMAGE = "ab" * 32


def hosts(number: int) -> list[Host]:
    """Machines of some customers, in racks."""
    customers = ("acme", "bolt", "corner shop", "delta")
    return [
        Host(
            f"web{n:03}",
            f"192.0.2.{n % 250}",
            customer=customers[n * len(customers) // number],
            rack=f"r{n * 12 // number}",
            image="trixie",
            machine_class=MachineClass("uefi" if n % 3 else "bios", "nvme", "debian 11", "igb"),
        )
        for n in range(number)
    ]


def paint(memory: Memory, now: datetime, number: int = 48) -> Night:
    """A night three hours old: most are done, some are on their way, some went wrong."""
    opens = now - timedelta(hours=3)
    night = Night(
        NIGHT,
        Window(opens, opens + timedelta(hours=8)),
        Policy("careful", WindowRule("Europe/Berlin")),
        NightState.OPEN,
        "all",
    )
    dice = random.Random(7)
    with memory.begin() as c:
        nights.create(c, night, now=opens, who="alice")
        every = hosts(number)
        machines.replace_all(c, every, now=opens, who="alice")
        for n, host in enumerate(every):
            _job(c, host, n, number, opens, dice)
        for name, host_name in (("north", "c1"), ("south", "c2")):
            conductors.beat(c, Sign(name, host_name, 7, "0.1.0", opens, now, 200, 5, "running"))
        key = f"job/{job_id(NIGHT, 'web005', 1)}"
        text = "web005 needs a person: behind the commit point and not done"
        outbox.put(
            c,
            Message(now, key, Action.TRIGGER, text, night=NIGHT, host="web005"),
            who="conductor north",
        )
    return night


def _job(c, host: Host, n: int, number: int, opens: datetime, dice: random.Random) -> None:  # type: ignore[no-untyped-def]
    job = job_id(NIGHT, host.name, 1)
    at = opens + timedelta(minutes=n * 2)

    def tell(what: What, **detail: object) -> None:
        nonlocal at
        at += timedelta(seconds=dice.randint(2, 40))
        jobs.record(
            c,
            Event(at, "conductor north", what, NIGHT, host.name, job, detail=detail),
        )

    made = Job(job, NIGHT, host.name, IMAGE, machine_class=host.machine_class.key)
    jobs.queue(c, made, now=opens, who="alice")
    if n > number * 0.85:
        return
    tell(What.JOB_POSTED, wave=0 if n < 2 else 1 + (n > 6) + (n > 26))
    tell(What.JOB_CLAIMED, conductor="north")
    end = len(ORDER) if n < number * 0.7 else dice.randint(1, 8)
    if n == 5:
        end = 7
    for step in ORDER[:end]:
        tell(What.STEP_BEGUN, step=str(step))
        if step is Atom.COPY and n % 9 == 0:
            again = (at + timedelta(seconds=20)).isoformat()
            error = "ssh: connection reset by 192.0.2.9"
            tell(What.STEP_FAILED, step=str(step), error=error, again_at=again)
            tell(What.STEP_BEGUN, step=str(step))
        if step is Atom.GO:
            deadline = (at + timedelta(hours=2)).isoformat()
            tell(What.GO_INTENDED, run=f"r-{n:04}", after="none", deadline=deadline)
            tell(What.GO_ACCEPTED, run=f"r-{n:04}")
        if step is not ORDER[end - 1] or end == len(ORDER):
            seconds = dice.randint(1, 300)
            at += timedelta(seconds=seconds)
            tell(What.STEP_DONE, step=str(step), seconds=seconds)
    if n == 5:
        tell(What.JOB_HELD, cause="behind the commit point and not done: loader: no space left")
    elif n == 11:
        tell(What.JOB_REVERTED, cause="prove: /var is open for writing by mysqld")
    elif end == len(ORDER):
        tell(What.JOB_DONE)
