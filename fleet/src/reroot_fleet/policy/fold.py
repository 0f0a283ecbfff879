"""What a job's events come to: its state, from the log alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDS = {
    What.JOB_DONE: JobState.DONE,
    What.JOB_REVERTED: JobState.REVERTED,
    What.JOB_REFUSED: JobState.REFUSED,
    What.JOB_HELD: JobState.HELD,
    What.JOB_WITHDRAWN: JobState.WITHDRAWN,
    What.JOB_RESTORED: JobState.RESTORED,
}


def fold(events: Iterable[Event]) -> dict[str, Job]:
    """Every job of a log, by its id."""
    jobs: dict[str, Job] = {}
    for event in events:
        if event.job is None:
            continue
        job = fold_job(jobs.get(event.job), event)
        if job is not None:
            jobs[event.job] = job
    return jobs


def fold_job(job: Job | None, event: Event) -> Job | None:
    """A job after one more of its events."""
    if event.what is What.JOB_QUEUED:
        return _queued(event)
    if job is None:
        return None
    if event.what in _ENDS:
        cause = event.detail.get("cause", job.cause)
        return replace(job, state=_ENDS[event.what], since=event.at, ended_at=event.at, cause=cause)
    return replace(job, **_changes(event))


def _queued(event: Event) -> Job:
    override = event.detail.get("override")
    return Job(
        id=str(event.job),
        night=str(event.night),
        host=str(event.host),
        image=event.detail["image"],
        attempt=event.detail.get("attempt", 1),
        flow=event.detail.get("flow", "1"),
        override=None if override is None else _override(override),
        state=JobState.QUEUED,
        since=event.at,
    )


def _override(document: dict[str, Any]) -> Override:
    return Override(
        who=document["who"],
        why=document["why"],
        entry=document.get("entry"),
        keep=tuple(document.get("keep", ())),
        image=document.get("image"),
        force=tuple(document.get("force", ())),
    )


def _changes(event: Event) -> dict[str, Any]:  # noqa: PLR0911 - a case an event
    detail = event.detail
    match event.what:
        case What.JOB_POSTED:
            return {
                "state": JobState.POSTED,
                "since": event.at,
                "posted_at": event.at,
                "wave": detail.get("wave"),
            }
        case What.JOB_CLAIMED:
            return {
                "state": JobState.RUNNING,
                "since": event.at,
                "conductor": detail.get("conductor"),
            }
        case What.JOB_ABANDONED:
            return {"state": JobState.POSTED, "since": event.at, "conductor": None}
        case What.STEP_BEGUN:
            return {"step": Atom(detail["step"])}
        case What.PLAN_KNOWN:
            return {"deadlines_s": detail.get("deadlines_s"), "consent": detail.get("consent")}
        case What.GO_INTENDED:
            return {
                "go_at": event.at,
                "run": detail.get("run"),
                "consent": detail.get("consent"),
                "deadline": _time(detail.get("deadline")),
            }
        case _:
            return {}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
