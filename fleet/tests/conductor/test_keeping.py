"""Keeping the night, by hand: what is read, what is posted, which alerts end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from reroot_fleet.conductor.keeping import Keeper
from reroot_fleet.memory import images, jobs, machines, nights, outbox
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.simulation.stage import BEGINS, IMAGE, NIGHT, hosts, policy
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Waves
from tests.hand_clock import HandClock


@dataclass
class Board:
    posted: list[str] = field(default_factory=list)

    def post(self, job: str) -> bool:
        self.posted.append(job)
        return True

    def listed(self) -> frozenset[str]:
        return frozenset(self.posted)


class Kept:
    """A night of some machines, and who keeps it."""

    def __init__(self, memory: Memory, count: int) -> None:
        self.memory, self.clock, self.board = memory, HandClock(mono=1000.0), Board()
        self.keeper = Keeper(memory, self.board, self.clock, "north")  # type: ignore[arg-type]
        inventory = hosts(count)
        with memory.begin() as c:
            machines.replace_all(c, inventory, now=BEGINS, who="t")
            images.add(c, images.Image(IMAGE, "trixie", "/nowhere", 1, BEGINS))
            window = Window(BEGINS - timedelta(hours=1), BEGINS + timedelta(hours=8))
            rules = policy(count, waves=Waves(canaries=2, ramp=(count,)))
            nights.create(c, Night(NIGHT, window, rules), now=BEGINS, who="t")
            nights.move(c, NIGHT, NightState.OPEN, expect=tuple(NightState), now=BEGINS, who="t")
            for host in inventory:
                job = Job(job_id(NIGHT, host.name, 1), NIGHT, host.name, IMAGE)
                jobs.queue(c, job, now=BEGINS, who="t")

    def keep(self) -> list[str]:
        self.clock.at += timedelta(seconds=5)
        self.clock.mono += 5
        self.board.posted.clear()
        self.keeper.keep(repost=False)
        return self.board.posted

    def tell(self, host: int, *whats: What, **detail: object) -> None:
        with self.memory.begin() as c:
            for what in whats:
                name = f"shop{host:04d}"
                job = job_id(NIGHT, name, 1)
                event = Event(self.clock.at, "t", what, NIGHT, name, job, detail=detail)
                jobs.record(c, event)


def test_a_long_queue_is_read_once(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, read = Kept(memory, 30), []
    select = jobs.select

    def counted(*args: object, **kwargs: object) -> list[Job]:
        found = select(*args, **kwargs)  # type: ignore[arg-type]
        read.append(len(found))
        return found

    monkeypatch.setattr(jobs, "select", counted)
    assert len(kept.keep()) == 2
    assert max(read) == 30
    read.clear()
    for what in (What.JOB_CLAIMED, What.STEP_BEGUN, What.STEP_DONE):
        kept.tell(0, what, step="check")
        assert kept.keep() == []
    assert max(read) == 2  # those that were let go


def test_an_import_is_seen_at_the_next_round(memory: Memory) -> None:
    kept = Kept(memory, 4)
    kept.keep()
    before = kept.keeper._sites[NIGHT][1]
    kept.clock.mono += 3600
    kept.tell(0, What.JOB_CLAIMED)
    kept.keep()
    assert kept.keeper._sites[NIGHT][1] is before
    with memory.begin() as c:
        machines.replace_all(c, hosts(3), now=kept.clock.at, who="t")
    kept.keep()
    assert kept.keeper._sites[NIGHT][1] is not before


def test_a_queue_that_others_change_is_read_again(memory: Memory) -> None:
    kept = Kept(memory, 4)
    assert kept.keep() == [job_id(NIGHT, f"shop000{n}", 1) for n in (0, 1)]
    kept.tell(2, What.JOB_WITHDRAWN)
    for host in (0, 1):
        kept.tell(host, What.JOB_CLAIMED, What.JOB_DONE)
    assert kept.keep() == [job_id(NIGHT, "shop0003", 1)]


def test_what_was_not_written_is_not_remembered(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(memory, 2)

    def dies(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "agree", dies)
        with pytest.raises(RuntimeError):
            kept.keep()
    assert len(kept.keep()) == 2


def test_an_alert_of_a_closed_night_ends_with_its_job(memory: Memory) -> None:
    kept = Kept(memory, 3)
    kept.keep()
    kept.tell(1, What.JOB_CLAIMED, What.JOB_DONE)
    kept.tell(0, What.JOB_CLAIMED, What.JOB_HELD, cause="its disk")
    kept.keep()
    kept.tell(2, What.JOB_CLAIMED, What.JOB_DONE)
    job = job_id(NIGHT, "shop0000", 1)
    with memory.read() as c:
        assert [a.key for a in outbox.open_alerts(c)] == [f"job/{job}"]
    kept.clock.at += timedelta(hours=10)
    kept.keep()
    with memory.read() as c:
        night = nights.get(c, NIGHT)
        assert night is not None
        assert night.state is NightState.CLOSED
        assert len(outbox.open_alerts(c)) == 1
    kept.tell(0, What.JOB_DONE)
    kept.keep()
    with memory.read() as c:
        assert outbox.open_alerts(c) == []
        found = jobs.get(c, job)
    assert found is not None
    assert found.state is JobState.DONE
    with memory.begin() as c:  # other alerts are not the keeper's
        outbox.put(c, Message(BEGINS, "fleet/conductors", Action.TRIGGER, "none"), who="t")
    kept.keep()
    with memory.read() as c:
        assert len(outbox.open_alerts(c)) == 1
