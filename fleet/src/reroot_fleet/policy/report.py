"""The morning after: what became of a night, as a value; texts are made of it elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reroot_fleet.policy.causes import Cause, by_cause
from reroot_fleet.policy.gates import latest
from reroot_fleet.policy.why import Line, lines, special_words, wave_words
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night

BY_PEOPLE = frozenset(
    {
        What.NIGHT_OPENED,
        What.NIGHT_PAUSED,
        What.NIGHT_RESUMED,
        What.NIGHT_HALTED,
        What.NIGHT_CLOSED,
        What.CLASS_STOPPED,
        What.OPERATOR_COMMAND,
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """How many of a part of the night came to what."""

    name: str
    counts: Mapping[JobState, int]
    median: timedelta | None = None
    """From `go` to the end, of those that are done."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a night."""

    night: Night
    made: datetime
    headline: str
    counts: Mapping[JobState, int]
    waves: tuple[Row, ...]
    classes: tuple[Row, ...]
    customers: tuple[Row, ...]
    needs_a_person: tuple[Cause, ...]
    failed: tuple[Cause, ...]
    refused: tuple[Cause, ...]
    left_over: tuple[Cause, ...]
    """Withdrawn, or never begun."""
    special: tuple[tuple[str, str], ...]
    """Hosts whose jobs were special cases, and how."""
    times: Mapping[str, timedelta]
    first_attempts: int
    """Machines that were let go for the first time."""
    first_failures: int
    began: datetime | None
    ended: datetime | None
    log: tuple[Line, ...]
    """What people and the budget did."""


def report(
    night: Night,
    jobs: Sequence[Job],
    hosts: Iterable[Host],
    events: Iterable[Event],
    now: datetime,
) -> Report:
    """What became of a night, from its jobs and its own events."""
    last = latest(jobs)
    by_name = {h.name: h for h in hosts}
    counts = _counts(last)
    began = [j.posted_at for j in jobs if j.posted_at is not None]
    ended = [j.ended_at for j in jobs if j.ended_at is not None and j.posted_at is not None]
    tried = [j for j in jobs if j.attempt == 1 and j.posted_at and j.state not in NOT_TRIED]
    return Report(
        night=night,
        made=now,
        headline=headline(night, counts),
        counts=counts,
        waves=_rows(last, _wave),
        classes=_rows(last, lambda j: _class(j, by_name)),
        customers=_rows(last, lambda j: _customer(j, by_name)),
        needs_a_person=by_cause(last, [JobState.HELD]),
        failed=by_cause(last, [JobState.REVERTED, JobState.RESTORED]),
        refused=by_cause(last, [JobState.REFUSED]),
        left_over=by_cause(last, [JobState.WITHDRAWN]),
        special=tuple((j.host, special_words(j.override)) for j in last if j.override is not None),
        times=_times(last),
        first_attempts=len(tried),
        first_failures=sum(j.state.failed for j in tried),
        began=min(began, default=None),
        ended=max(ended, default=None),
        log=lines(e for e in events if e.what in BY_PEOPLE and e.job is None),
    )


NOT_TRIED = frozenset({JobState.REFUSED, JobState.WITHDRAWN})


def headline(night: Night, counts: Mapping[JobState, int]) -> str:
    """The night in a sentence: what one wants to know first comes first."""
    held, done = counts.get(JobState.HELD, 0), counts.get(JobState.DONE, 0)
    parts = []
    if held:
        parts.append(f"{_machines(held)} {'needs' if held == 1 else 'need'} a person")
    parts.append(
        f"{done} of {_machines(sum(counts.values()))} {'has' if done == 1 else 'have'} the new OS"
    )
    for state, words in (
        (JobState.REVERTED, "reverted, the old OS as it was"),
        (JobState.RESTORED, "restored from backup"),
        (JobState.REFUSED, "refused by a check"),
        (JobState.WITHDRAWN, "withdrawn before go"),
        (JobState.QUEUED, "not begun"),
    ):
        if n := counts.get(state, 0):
            parts.append(f"{n} {words}")
    moving = counts.get(JobState.POSTED, 0) + counts.get(JobState.RUNNING, 0)
    if moving:
        parts.append(f"{moving} still on their way")
    stands = f" The night is {night.state}: {night.cause}." if night.cause else ""
    return f"{'; '.join(parts)}.{stands}"


def _machines(n: int) -> str:
    return "1 machine" if n == 1 else f"{n:,} machines"


def _counts(jobs: Iterable[Job]) -> dict[JobState, int]:
    states = [j.state for j in jobs]
    return {s: n for s in JobState if (n := states.count(s))}


def _rows(jobs: Iterable[Job], name: Callable[[Job], tuple[int, str] | None]) -> tuple[Row, ...]:
    groups: defaultdict[tuple[int, str], list[Job]] = defaultdict(list)
    for job in jobs:
        key = name(job)
        if key is not None:
            groups[key].append(job)
    return tuple(
        Row(key[1], _counts(some), _middle(_lengths(some))) for key, some in sorted(groups.items())
    )


def _wave(job: Job) -> tuple[int, str] | None:
    return None if job.wave is None else (job.wave, wave_words(job.wave))


def _class(job: Job, hosts: Mapping[str, Host]) -> tuple[int, str]:
    if job.machine_class.count("/") >= 3:
        return 0, str(MachineClass.of_key(job.machine_class))
    host = hosts.get(job.host)
    return 0, str(host.machine_class) if host else "unknown"


def _customer(job: Job, hosts: Mapping[str, Host]) -> tuple[int, str]:
    host = hosts.get(job.host)
    return (0, host.customer) if host and host.customer else (1, "no customer")


def _lengths(jobs: Iterable[Job]) -> list[timedelta]:
    return sorted(
        j.ended_at - j.go_at
        for j in jobs
        if j.state is JobState.DONE and j.ended_at is not None and j.go_at is not None
    )


def _middle(lengths: Sequence[timedelta]) -> timedelta | None:
    return lengths[len(lengths) // 2] if lengths else None


def _times(jobs: Iterable[Job]) -> dict[str, timedelta]:
    lengths = _lengths(jobs)
    if not lengths:
        return {}
    return {
        "fastest": lengths[0],
        "median": lengths[len(lengths) // 2],
        "19 of 20 within": lengths[min(len(lengths) - 1, len(lengths) * 19 // 20)],
        "slowest": lengths[-1],
    }
