"""The log alone gives every state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from reroot_fleet.policy.fold import LEADS_TO, Folded, apply, fold, override_detail, override_of
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override
from reroot_fleet.values.night import NightState

START = datetime(2026, 1, 10, 22, tzinfo=UTC)


def log(
    *steps: tuple[What, Mapping[str, object]] | What, job: str | None = "n/web1/1"
) -> list[Event]:
    events = []
    for i, step in enumerate(steps):
        what, detail = step if isinstance(step, tuple) else (step, {})
        events.append(
            Event(
                START + timedelta(minutes=i),
                "conductor a",
                what,
                night="n",
                host="web1",
                job=job,
                detail=detail,
            )
        )
    return events


QUEUED = (What.JOB_QUEUED, {"image": "d1", "attempt": 1, "flow": "1"})
POSTED = (What.JOB_POSTED, {"wave": 1})
CLAIMED = (What.JOB_CLAIMED, {"conductor": "a"})
INTENDED = (
    What.GO_INTENDED,
    {"run": "r1", "consent": "c", "deadline": "2026-01-11T01:00:00+00:00"},
)


def only(folded: Folded) -> Job:
    (job,) = folded.jobs.values()
    return job


def test_a_job_that_is_done() -> None:
    folded = fold(
        log(QUEUED, POSTED, CLAIMED, (What.STEP_BEGUN, {"step": "go"}), INTENDED, What.JOB_DONE)
    )
    job = only(folded)
    assert job.state is JobState.DONE
    assert (job.wave, job.step, job.run, job.consent) == (1, "go", "r1", "c")
    assert job.posted_at == START + timedelta(minutes=1)
    assert job.go_at == START + timedelta(minutes=4)
    assert job.ended_at == START + timedelta(minutes=5)
    assert not folded.odd


def test_a_second_conductor_that_takes_up_a_job_changes_no_time() -> None:
    events = log(
        QUEUED,
        POSTED,
        CLAIMED,
        INTENDED,
        What.JOB_ABANDONED,
        (What.JOB_CLAIMED, {"conductor": "b"}),
        INTENDED,
    )
    job = only(fold(events))
    assert job.conductor == "b"
    assert job.go_at == START + timedelta(minutes=3)
    assert job.since == START + timedelta(minutes=2)


def test_no_stop_reaches_a_job_that_may_have_said_go() -> None:
    folded = fold(log(QUEUED, POSTED, CLAIMED, INTENDED, What.JOB_WITHDRAWN))
    assert only(folded).state is JobState.RUNNING
    assert [e.what for e in folded.odd] == [What.JOB_WITHDRAWN]


@pytest.mark.parametrize(
    "end", [What.JOB_DONE, What.JOB_REFUSED, What.JOB_WITHDRAWN, What.JOB_RESTORED]
)
@pytest.mark.parametrize("then", [w for w in LEADS_TO if w is not What.JOB_RESTORED])
def test_an_end_is_the_end(end: What, then: What) -> None:
    folded = fold(log(QUEUED, POSTED, CLAIMED, end, then))
    assert only(folded).state is LEADS_TO[end][1]
    assert len(folded.odd) == 1


def test_a_held_machine_that_answers_after_all_is_done() -> None:
    events = log(QUEUED, POSTED, CLAIMED, INTENDED, What.JOB_HELD, What.JOB_DONE)
    assert only(fold(events)).state is JobState.DONE


def test_an_intent_without_a_claim_is_odd() -> None:
    folded = fold(log(QUEUED, POSTED, INTENDED))
    assert only(folded).go_at is None
    assert len(folded.odd) == 1


def test_events_of_a_job_that_was_never_queued_are_odd() -> None:
    folded = fold(log(POSTED))
    assert not folded.jobs
    assert len(folded.odd) == 1


def test_nothing_opens_a_halted_night_again() -> None:
    events = log(
        What.NIGHT_PLANNED,
        What.NIGHT_OPENED,
        (What.CLASS_STOPPED, {"class": "bios/virtio/debian 12/virtio_net"}),
        (What.NIGHT_HALTED, {"cause": "two holds"}),
        What.NIGHT_RESUMED,
        job=None,
    )
    folded = fold(events)
    assert folded.nights["n"].state is NightState.HALTED
    assert folded.nights["n"].cause == "two holds"
    assert folded.nights["n"].stopped_classes == {"bios/virtio/debian 12/virtio_net"}
    assert [e.what for e in folded.odd] == [What.NIGHT_RESUMED]


def test_every_prefix_of_a_life_folds_as_its_events_applied_one_by_one() -> None:
    events = log(QUEUED, POSTED, CLAIMED, INTENDED, What.JOB_HELD, What.JOB_RESTORED)
    job: Job | None = None
    for n, event in enumerate(events, 1):
        job = apply(job, event)
        assert job == only(fold(events[:n]))


def test_an_override_survives_the_log() -> None:
    override = Override("ann", "no kexec", entry="boot", keep=("/srv",), force=("swap",))
    assert override_of(override_detail(override)) == override
    assert override_of(None) is None
