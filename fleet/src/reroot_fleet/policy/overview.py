"""How a night stands, for a wall and for people: a pure function of what the memory has.

Words first; colours are the page's own. The order is by what wants attention.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reroot_fleet.policy import budget
from reroot_fleet.policy.alerting import class_words
from reroot_fleet.policy.site import Site
from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.host import Host
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.sighting import Sighting


class Tone(StrEnum):
    """What a word means for whoever looks from far away."""

    IDLE = "idle"
    BUSY = "busy"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


TONES: Mapping[JobState, Tone] = {
    JobState.QUEUED: Tone.IDLE,
    JobState.POSTED: Tone.BUSY,
    JobState.RUNNING: Tone.BUSY,
    JobState.DONE: Tone.GOOD,
    JobState.REVERTED: Tone.WARN,
    JobState.REFUSED: Tone.WARN,
    JobState.HELD: Tone.BAD,
    JobState.WITHDRAWN: Tone.IDLE,
    JobState.RESTORED: Tone.WARN,
}

NIGHT_TONES: Mapping[NightState, Tone] = {
    NightState.PLANNED: Tone.IDLE,
    NightState.OPEN: Tone.GOOD,
    NightState.PAUSED: Tone.WARN,
    NightState.HALTED: Tone.BAD,
    NightState.CLOSED: Tone.IDLE,
}

# The order of a bar: what has ended well, what moves, what waits, what went wrong.
BAR = (
    JobState.DONE,
    JobState.RUNNING,
    JobState.POSTED,
    JobState.QUEUED,
    JobState.WITHDRAWN,
    JobState.REFUSED,
    JobState.REVERTED,
    JobState.RESTORED,
    JobState.HELD,
)

# A step that has said nothing for so long is worth a look, deadline or not.
QUIET = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class MachineLine:
    """One machine in the night's tree."""

    host: str
    customer: str
    rack: str
    state: JobState
    tone: Tone
    word: str
    """The state, with its step while it runs."""
    step: Atom | None
    steps_done: int
    """Of ten: how far along the flow it is."""
    since: datetime | None
    late: bool
    attempt: int
    wave: int | None
    cause: str
    seen: str | None = None
    """How far its run was when it was looked at last: `wipe 43 % in RAM`."""


@dataclass(frozen=True, slots=True)
class Rack:
    """Machines of one rack."""

    name: str
    machines: tuple[MachineLine, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer's racks."""

    name: str
    racks: tuple[Rack, ...]

    @property
    def machines(self) -> list[MachineLine]:
        """Every machine of the customer."""
        return [machine for rack in self.racks for machine in rack.machines]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A machine that wants a look, and why."""

    machine: MachineLine
    why: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Wave:
    """How far a wave is."""

    name: str
    total: int
    done: int
    moving: int
    failed: int


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of the failure budget is used."""

    held: int
    held_stops: int
    reverted: int
    begun: int
    share: float
    share_pauses: float
    held_tone: Tone
    reverted_tone: Tone
    stopped_classes: tuple[str, ...]

    @property
    def stopped_in_words(self) -> tuple[str, ...]:
        """The stopped classes, for people."""
        return tuple(map(class_words, self.stopped_classes))


@dataclass(frozen=True, slots=True)
class Overview:
    """How a night stands."""

    night: Night
    at: datetime
    tone: Tone
    phase: str
    """Of its window, in words."""
    counts: tuple[tuple[JobState, int], ...]
    total: int
    budget: Budget
    waves: tuple[Wave, ...]
    stuck: tuple[Stuck, ...]
    customers: tuple[Customer, ...]

    def count(self, state: JobState) -> int:
        """How many machines are in a state."""
        return dict(self.counts)[state]


def overview(
    now: datetime,
    night: Night,
    jobs: Sequence[Job],
    hosts: Iterable[Host],
    site: Site,
    seen: Mapping[str, Sighting] | None = None,
) -> Overview:
    """How a night stands; a machine that was queued again counts by its last attempt."""
    last: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda j: j.attempt):
        last[job.host] = job
    by_name = {host.name: host for host in hosts}
    seen = seen or {}
    lines = [
        _line(job, by_name.get(name), now, seen.get(job.id))
        for name, job in sorted(last.items(), key=_by_name)
    ]
    states = [line.state for line in lines]
    return Overview(
        night=night,
        at=now,
        tone=NIGHT_TONES[night.state],
        phase=phase(night, now),
        counts=tuple((state, states.count(state)) for state in BAR),
        total=len(lines),
        budget=_budget(night, jobs, site, now),
        waves=_waves(last.values()),
        stuck=_stuck(lines, last, now),
        customers=_tree(lines),
    )


def phase(night: Night, now: datetime) -> str:
    """Where in its window a night is."""
    if now < night.window.opens:
        return f"opens in {span(night.window.opens - now)}"
    if now < night.window.closes:
        return f"closes in {span(night.window.closes - now)}"
    return f"closed {span(now - night.window.closes)} ago"


def span(length: timedelta) -> str:
    """A length of time in two words at most."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


SEEN_AT = frozenset({Atom.REHEARSE, Atom.GO, Atom.SILENCE, Atom.ANSWER})
"""Steps in which a run goes on: what was seen of it in another one is old."""


def _line(job: Job, host: Host | None, now: datetime, seen: Sighting | None) -> MachineLine:
    running = job.state is JobState.RUNNING
    word = f"{job.state}: {job.step}" if running and job.step else str(job.state)
    seen = seen if running and job.step in SEEN_AT else None
    if seen is not None:
        word += f", {seen}"
    late = budget.is_late(job, now)
    steps_done = len(ORDER) if job.state is JobState.DONE else 0
    if job.step is not None and job.state is not JobState.DONE:
        steps_done = ORDER.index(job.step)
    return MachineLine(
        host=job.host,
        customer=(host.customer if host else None) or "no customer",
        rack=(host.rack if host else None) or "no rack",
        state=job.state,
        tone=Tone.BAD if late else TONES[job.state],
        word=f"late at {job.step}" if late else word,
        step=job.step,
        steps_done=steps_done,
        since=job.since,
        late=late,
        attempt=job.attempt,
        wave=job.wave,
        cause=job.cause or "",
        seen=None if seen is None else str(seen),
    )


def _budget(night: Night, jobs: Iterable[Job], site: Site, now: datetime) -> Budget:
    begun = [job for job in jobs if job.posted_at is not None]
    tally = budget.tally(begun, site, night, now)
    allowed = night.policy.budget
    held = tally.holds.total()
    share, pauses = tally.share_reverted, allowed.reverted_pauses
    return Budget(
        held=held,
        held_stops=allowed.holds_stop_night,
        reverted=tally.reverted,
        begun=tally.posted,
        share=share,
        share_pauses=pauses,
        held_tone=_used(spent=held >= allowed.holds_stop_night, begun=held > 0),
        reverted_tone=_used(spent=share > pauses, begun=share > pauses / 2),
        stopped_classes=tuple(sorted(night.stopped_classes)),
    )


def _used(*, spent: bool, begun: bool) -> Tone:
    if spent:
        return Tone.BAD
    return Tone.WARN if begun else Tone.GOOD


def _waves(jobs: Iterable[Job]) -> tuple[Wave, ...]:
    by_wave: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.wave is not None:
            by_wave[job.wave].append(job)
    return tuple(
        Wave(
            name="canaries" if number == 0 else f"wave {number}",
            total=len(some),
            done=sum(job.state is JobState.DONE for job in some),
            moving=sum(job.state.active for job in some),
            failed=sum(job.state.failed for job in some),
        )
        for number, some in sorted(by_wave.items())
    )


def _stuck(
    lines: Iterable[MachineLine], jobs: Mapping[str, Job], now: datetime
) -> tuple[Stuck, ...]:
    found: list[Stuck] = []
    for line in lines:
        job = jobs[line.host]
        if line.state is JobState.HELD:
            found.append(Stuck(line, line.cause or "a person is needed", Tone.BAD))
        elif line.late:
            by = f"{job.deadline:%H:%M} UTC" if job.deadline else "its deadline"
            found.append(Stuck(line, f"should have ended by {by}", Tone.BAD))
        elif job.state.active and not job.begun_go and job.since and now - job.since > QUIET:
            found.append(Stuck(line, f"not at go after {span(now - job.since)}", Tone.WARN))
        elif line.state in {JobState.REVERTED, JobState.RESTORED, JobState.REFUSED}:
            found.append(Stuck(line, line.cause or str(line.state), Tone.WARN))
    return tuple(sorted(found, key=lambda s: (s.tone is not Tone.BAD, s.machine.host)))


def _by_name(item: tuple[str, object]) -> list[tuple[int, str]]:
    """`r9` before `r10`."""
    parts = re.split(r"(\d+)", item[0])
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _tree(lines: Iterable[MachineLine]) -> tuple[Customer, ...]:
    tree: dict[str, dict[str, list[MachineLine]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        tree[line.customer][line.rack].append(line)
    return tuple(
        Customer(name, tuple(Rack(rack, tuple(racks[rack])) for rack in sorted(racks, key=natural)))
        for name, racks in sorted(tree.items(), key=_by_name)
    )


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key by which `r9` comes before `r10`."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
