"""The jobs that were let go are those of the memory, whoever changes them, and few of them are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reroot_fleet.conductor.begun import Begun
from reroot_fleet.memory import jobs
from reroot_fleet.simulation.stage import NIGHT
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from tests.conductor.test_keeping import Kept

if TYPE_CHECKING:
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.job import Job


class Reader:
    def __init__(self, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory, self.begun = memory, Begun(NIGHT)
        self.read: list[int] = []
        for name in ("select", "some"):
            monkeypatch.setattr(jobs, name, self._counted(getattr(jobs, name)))

    def _counted(self, of: object) -> object:
        def counted(*args: object, **kwargs: object) -> list[Job]:
            found: list[Job] = of(*args, **kwargs)  # type: ignore[operator]
            self.read.append(len(found))
            return found

        return counted

    def states(self) -> dict[str, JobState]:
        self.read.clear()
        with self.memory.begin() as c:
            found = self.begun.read(c, jobs.counts(c, night=NIGHT))
        read = self.read.copy()
        with self.memory.read() as c:
            whole = [j for j in jobs.select(c) if j.state is not JobState.QUEUED]
        assert found == whole
        self.read = read
        return {j.host: j.state for j in found}


def test_a_job_that_has_ended_is_not_read_again(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, reader = Kept(memory, 40), Reader(memory, monkeypatch)
    for host in range(30):
        kept.tell(host, What.JOB_POSTED, What.JOB_CLAIMED)
    reader.states()
    for host in range(25):
        kept.tell(host, What.JOB_DONE)
    reader.states()
    assert reader.read == [5, 25]  # those on their way, and by name those that left them
    kept.tell(29, What.STEP_BEGUN, step="check")
    reader.states()
    assert reader.read == [5]


def test_what_a_person_changes_is_seen(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, reader = Kept(memory, 6), Reader(memory, monkeypatch)
    for host in range(4):
        kept.tell(host, What.JOB_POSTED, What.JOB_CLAIMED)
    reader.states()
    kept.tell(0, What.JOB_REVERTED, cause="its disk")
    kept.tell(1, What.JOB_HELD, cause="silent")
    reader.states()
    kept.tell(0, What.JOB_RESTORED, cause="from the backup")  # of one that had ended
    kept.tell(5, What.JOB_WITHDRAWN, cause="not tonight")  # of one that was never on its way
    assert reader.states()["shop0000"] is JobState.RESTORED
    kept.tell(1, What.JOB_TAKEN_UP, evidence="it answers")
    assert reader.states()["shop0001"] is JobState.POSTED
    kept.tell(4, What.JOB_POSTED, What.JOB_CLAIMED, What.JOB_DONE)  # between two rounds
    assert reader.states()["shop0004"] is JobState.DONE
