"""The state of every night and job, from the log of events alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override
from reroot_fleet.values.night import NightState

S = JobState

LEADS_TO: Mapping[What, tuple[frozenset[JobState], JobState]] = {
    What.JOB_POSTED: (frozenset({S.QUEUED, S.POSTED}), S.POSTED),
    What.JOB_CLAIMED: (frozenset({S.POSTED, S.RUNNING}), S.RUNNING),
    What.JOB_DONE: (frozenset({S.RUNNING, S.HELD}), S.DONE),
    What.JOB_REVERTED: (frozenset({S.RUNNING, S.HELD}), S.REVERTED),
    What.JOB_REFUSED: (frozenset({S.POSTED, S.RUNNING}), S.REFUSED),
    What.JOB_HELD: (frozenset({S.RUNNING}), S.HELD),
    What.JOB_TAKEN_UP: (frozenset({S.HELD}), S.POSTED),
    What.JOB_WITHDRAWN: (frozenset({S.QUEUED, S.POSTED, S.RUNNING}), S.WITHDRAWN),
    What.JOB_RESTORED: (frozenset({S.HELD, S.REVERTED, S.RUNNING}), S.RESTORED),
}
"""From which states an event leads where. A held job is ended by a person's word, or taken up again
when its machine answers after all; every other end is the end."""

NIGHT_LEADS_TO: Mapping[What, NightState] = {
    What.NIGHT_PLANNED: NightState.PLANNED,
    What.NIGHT_OPENED: NightState.OPEN,
    What.NIGHT_PAUSED: NightState.PAUSED,
    What.NIGHT_RESUMED: NightState.OPEN,
    What.NIGHT_HALTED: NightState.HALTED,
    What.NIGHT_CLOSED: NightState.CLOSED,
}


@dataclass(slots=True)
class NightSeen:
    """What the log tells of a night."""

    state: NightState = NightState.PLANNED
    cause: str | None = None
    stopped_classes: set[str] = field(default_factory=set)
    resumed_at: datetime | None = None


@dataclass(slots=True)
class Folded:
    """What the log comes to."""

    jobs: dict[str, Job] = field(default_factory=dict)
    nights: dict[str, NightSeen] = field(default_factory=dict)
    odd: list[Event] = field(default_factory=list)
    """Events that no rule has a place for: a fault of whoever wrote them."""


def fold(events: Iterable[Event]) -> Folded:
    """The state of everything after those events, in the log's order."""
    folded = Folded()
    for event in events:
        _apply(folded, event)
    return folded


def _apply(folded: Folded, event: Event) -> None:
    if event.night is not None and event.job is None:
        _apply_night(folded, event)
    if event.job is None:
        return
    before = folded.jobs.get(event.job)
    if before is None and event.what is not What.JOB_QUEUED:
        folded.odd.append(event)
        return
    after = apply(before, event)
    if after is None:
        folded.odd.append(event)
    else:
        folded.jobs[event.job] = after


def apply(job: Job | None, event: Event) -> Job | None:
    """The job after one event; `None` where the event has no place in its life."""
    if event.what is What.JOB_QUEUED:
        return _queued(event) if job is None else None
    if job is None:
        return None
    if event.what in LEADS_TO:
        return _moved(job, event)
    return _noted(job, event)


def _queued(event: Event) -> Job | None:
    d = event.detail
    if event.job is None or event.night is None or event.host is None:
        return None
    return Job(
        id=event.job,
        night=event.night,
        host=event.host,
        image=str(d.get("image", "")),
        machine_class=str(d.get("class", "")),
        attempt=int(d.get("attempt", 1)),
        override=override_of(d.get("override")),
        flow=str(d.get("flow", "1")),
        since=event.at,
        deadlines_s=d.get("deadlines_s"),
    )


def _moved(job: Job, event: Event) -> Job | None:
    sources, target = LEADS_TO[event.what]
    if job.state not in sources:
        return None
    if event.what is What.JOB_WITHDRAWN and job.begun_go:
        return None  # no stop reaches a job that may have said `go`
    since = job.since if job.state is target else event.at
    moved = replace(job, state=target, since=since)
    if target.ended:
        cause = event.detail.get("cause") or event.why or None
        return replace(moved, ended_at=event.at, cause=cause)
    if event.what is What.JOB_TAKEN_UP:
        return replace(moved, ended_at=None, cause=None, conductor=None)
    if event.what is What.JOB_POSTED:
        wave = event.detail.get("wave", job.wave)
        return replace(moved, wave=wave, posted_at=job.posted_at or event.at)
    return replace(moved, conductor=event.detail.get("conductor", job.conductor))


def _noted(job: Job, event: Event) -> Job | None:
    d = event.detail
    if event.what is What.GO_INTENDED and job.state is not S.RUNNING:
        return None
    match event.what:
        case What.STEP_BEGUN:
            return replace(job, step=Atom(d["step"])) if d.get("step") in set(Atom) else job
        case What.PLAN_KNOWN:
            return replace(
                job,
                machine_class=job.machine_class or str(d.get("class", "")),
                deadlines_s=d.get("deadlines_s", job.deadlines_s),
                consent=d.get("consent", job.consent),
            )
        case What.GO_INTENDED:
            return replace(
                job,
                go_at=job.go_at or event.at,
                run=d.get("run", job.run),
                consent=d.get("consent", job.consent),
                deadline=_moment(d.get("deadline")) or job.deadline,
            )
        case What.JOB_ABANDONED:
            return replace(job, conductor=None)
        case _:
            return job


def _apply_night(folded: Folded, event: Event) -> None:
    night = folded.nights.setdefault(str(event.night), NightSeen())
    if event.what in NIGHT_LEADS_TO:
        # Nothing opens a night again that was halted or closed.
        if night.state in {NightState.HALTED, NightState.CLOSED} and (
            event.what is not What.NIGHT_CLOSED
        ):
            folded.odd.append(event)
            return
        night.state = NIGHT_LEADS_TO[event.what]
        if event.what is What.NIGHT_RESUMED:
            night.resumed_at = event.at
        night.cause = event.detail.get("cause") or event.why or None
    elif event.what is What.CLASS_STOPPED:
        night.stopped_classes.add(str(event.detail.get("class", "")))


def override_of(value: Any) -> Override | None:  # noqa: ANN401 - JSON
    """An override as the log keeps it."""
    if not isinstance(value, dict):
        return None
    return Override(
        who=str(value.get("who", "")),
        why=str(value.get("why", "")),
        entry=value.get("entry"),
        keep=tuple(value.get("keep", ())),
        image=value.get("image"),
        force=tuple(value.get("force", ())),
        rehearse=bool(value.get("rehearse")),
    )


def override_detail(override: Override) -> dict[str, Any]:
    """An override for the log."""
    return {
        "who": override.who,
        "why": override.why,
        "entry": override.entry,
        "keep": list(override.keep),
        "image": override.image,
        "force": list(override.force),
        "rehearse": override.rehearse,
    }


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


fold_job = apply
"""The same, by the name that the memory uses."""
