from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy.event import listen

from reroot_fleet.memory import events, jobs
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.memory.jobs import Expected, Pause
from reroot_fleet.policy.fold import fold
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState, Override
from tests.memory.given import NOW, event, hosts, night, queued


def test_the_log_alone_gives_the_state_of_every_job(memory: Memory) -> None:
    override = Override("alice", "its card is odd", entry="boot", keep=("/srv",), force=("smart",))
    with memory.begin() as c:
        night(c)
        hosts(c, "web1", "web2", "web3")
        queued(c, "web1")
        queued(c, "web2", override=override)
        queued(c, "web3")
        for told in (
            event(What.JOB_POSTED, "web1", 1, wave=0),
            event(What.JOB_CLAIMED, "web1", 2, conductor="one"),
            event(What.STEP_BEGUN, "web1", 2, step="check"),
            event(What.PLAN_KNOWN, "web1", 3, deadlines_s=3600, consent="c0ffee"),
            event(
                What.GO_INTENDED,
                "web1",
                4,
                run="r1",
                after="none",
                consent="c0ffee",
                deadline=(NOW + timedelta(hours=1)).isoformat(),
            ),
            event(What.JOB_DONE, "web1", 20),
            event(What.JOB_POSTED, "web2", 1, wave=1),
            event(What.JOB_CLAIMED, "web2", 2, conductor="two"),
            event(What.JOB_ABANDONED, "web2", 3, conductor="two"),
        ):
            jobs.record(c, told)
    with memory.read() as c:
        kept = {job.id: job for job in jobs.select(c)}
        folded = fold(events.read_all(c))
        assert folded.jobs == kept
        assert folded.odd == []
        assert [job.state for job in kept.values()] == [
            JobState.DONE,
            JobState.RUNNING,
            JobState.QUEUED,
        ]
        assert jobs.select(c, host="web2")[0].override == override
        assert jobs.counts(c)[JobState.DONE] == 1


def test_a_conductor_that_slept_cannot_move_what_another_has_taken_over(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        queued(c, "web1")
        jobs.record(c, event(What.JOB_POSTED, "web1"))
        jobs.record(c, event(What.JOB_CLAIMED, "web1", conductor="two"))
        before = events.last_number(c)
    intent = event(What.GO_INTENDED, "web1", 1, run="r1")
    with pytest.raises(Conflict, match="two's and not one's any more"), memory.begin() as c:
        jobs.record(c, intent, expect=Expected(states=(JobState.RUNNING,), conductor="one"))
    with memory.begin() as c:
        assert events.last_number(c) == before
        jobs.record(c, intent, expect=Expected(conductor="two", go=False))
    with pytest.raises(Conflict, match="was intended already"), memory.begin() as c:
        jobs.record(c, intent, expect=Expected(conductor="two", go=False))


def test_a_machine_has_at_most_one_job_that_may_touch_it(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        queued(c, "web1")
    with pytest.raises(Conflict, match="has not ended"), memory.begin() as c:
        queued(c, "web1", attempt=2)
    with memory.begin() as c:
        jobs.record(c, event(What.JOB_WITHDRAWN, "web1"))
        queued(c, "web1", attempt=2)


def test_two_who_withdraw_and_post_at_once_take_turns(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        queued(c, "web1")
    won: list[What] = []

    def attempt(what: What) -> None:
        try:
            with memory.begin() as c:
                jobs.record(c, event(what, "web1"), expect=Expected(states=(JobState.QUEUED,)))
        except Conflict:
            return
        won.append(what)

    threads = [
        threading.Thread(target=attempt, args=(what,))
        for what in (What.JOB_POSTED, What.JOB_WITHDRAWN) * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_pause_is_held_in_the_memory_and_ends_when_the_step_begins_again(memory: Memory) -> None:
    again = NOW + timedelta(minutes=5)
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        job = queued(c, "web1")
        failed = event(What.STEP_FAILED, "web1", step="copy", again_at=again.isoformat())
        jobs.record(c, event(What.STEP_BEGUN, "web1", step="copy"))
        jobs.record(c, failed)
        assert jobs.pause_of(c, job.id) == Pause(1, again)
        assert jobs.record(c, event(What.STEP_BEGUN, "web1", step="copy")).step is Atom.COPY
        assert jobs.pause_of(c, job.id) == Pause(1, None)
        jobs.record(c, event(What.STEP_DONE, "web1", step="copy"))
        assert jobs.pause_of(c, job.id) == Pause(0, None)


def test_an_event_of_no_job_is_refused(memory: Memory) -> None:
    with pytest.raises(Conflict, match="no such job"), memory.begin() as c:
        jobs.record(c, event(What.JOB_POSTED, "nobody"))


def test_some_events_are_written_together_or_not_at_all(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        job = queued(c, "web1")
        jobs.record(c, event(What.JOB_POSTED, "web1"))
        jobs.record(c, event(What.JOB_CLAIMED, "web1", conductor="one"))
        before = events.last_number(c)
    done = event(What.STEP_DONE, "web1", 1, step="check", seconds=1.0)
    begun = event(What.STEP_BEGUN, "web1", 2, step="copy")
    with memory.begin() as c:
        assert jobs.record_all(c, (done, begun)).step is Atom.COPY
    with memory.read() as c:
        assert [e.what for e in events.read(c, after=before)] == [done.what, begun.what]
        assert fold(events.read_all(c)).jobs[job.id] == jobs.get(c, job.id)
    no_place = event(What.JOB_TAKEN_UP, "web1", 3)
    with pytest.raises(Conflict, match="has no place there"), memory.begin() as c:
        jobs.record_all(c, (event(What.STEP_DONE, "web1", 3, step="copy"), no_place))
    with memory.read() as c:
        assert len(events.read(c, after=before)) == 2


def test_an_event_that_changes_nothing_of_a_job_leaves_its_row(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1")
        queued(c, "web1")
    said: list[str] = []
    listen(memory.engine, "before_cursor_execute", lambda *a: said.append(a[2].split(None, 1)[0]))
    with memory.begin() as c:
        jobs.record(c, event(What.NOTE, "web1", text="nothing"))
    assert [s for s in said if s in {"SELECT", "UPDATE", "INSERT"}] == ["SELECT", "INSERT"]


def test_some_jobs_are_found_by_their_ids(memory: Memory) -> None:
    with memory.begin() as c:
        night(c)
        hosts(c, "web1", "web2", "web3")
        ids = [queued(c, name).id for name in ("web1", "web2", "web3")]
        jobs.record(c, event(What.JOB_WITHDRAWN, "web2"))
        assert {j.id for j in jobs.some(c, ids[:2])} == set(ids[:2])
        assert jobs.states_of(c, [*ids, "nobody"]) == dict(
            zip(ids, (JobState.QUEUED, JobState.WITHDRAWN, JobState.QUEUED), strict=True)
        )
        assert jobs.ended_of(c, ids) == {ids[1]: JobState.WITHDRAWN}
        assert jobs.ended_of(c, []) == {}
