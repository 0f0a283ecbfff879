"""What is taken: places of every kind, hosts that are busy, members of waves; and who still fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reroot_fleet.policy.history import HOUR, History
from reroot_fleet.policy.site import Key, Seat, Site
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.policy import HOURLY_CAP, Limits

NOT_OF_A_WAVE = frozenset({JobState.REFUSED, JobState.WITHDRAWN})


@dataclass(slots=True)
class Taken:
    """Places that jobs take up, counted as jobs are added."""

    limits: Limits
    limit_of: dict[Key, int]
    counts: Counter[Key] = field(default_factory=Counter)
    full: dict[Key, str] = field(default_factory=dict)
    """Keys that take no more, and the words for it."""
    busy: set[str] = field(default_factory=set)
    """Hosts that are being reinstalled, or wait for a person."""
    below_busy: set[str] = field(default_factory=set)
    """Hosts that carry one of those."""
    fleet_busy: bool = False
    """Something of the fleet itself is among them."""
    members: dict[int, set[str]] = field(default_factory=dict)
    """Hosts of each wave."""
    below_members: dict[int, set[str]] = field(default_factory=dict)
    room: int = 0
    """How many more in all."""
    why_no_room: str = ""
    room_again: datetime | None = None
    """When the hour's cap lets the next one go."""

    def add(self, seat: Seat, image: str | None) -> None:
        """A job that is on its way, or whose machine waits for a person."""
        for key in seat.keys:
            self._count(key, self.limit_of[key])
        if image is not None:
            self._count(image_key(image), self.limits.image)
        self.busy.add(seat.host)
        self.below_busy |= seat.above
        self.fleet_busy |= seat.alone

    def _count(self, key: Key, limit: int) -> None:
        self.counts[key] += 1
        if self.counts[key] >= limit:
            self.full[key] = f"{key} has {limit} at once"

    def join(self, seat: Seat, wave: int) -> None:
        """A member of a wave, on its way or ended."""
        self.members.setdefault(wave, set()).add(seat.host)
        self.below_members.setdefault(wave, set()).update(seat.above)

    def start(self, seat: Seat, image: str, wave: int) -> None:
        """A job that starts now."""
        self.add(seat, image)
        self.join(seat, wave)
        self.room -= 1

    def why_not(self, seat: Seat, image: str, wave: int) -> str | None:
        """Why a machine does not fit; `None` where it does."""
        full = self.full
        for key in seat.keys:
            if key in full:
                return full[key]
        if self.room <= 0:
            return self.why_no_room
        return full.get(image_key(image)) or self._why_not_beside(seat, wave)

    def _why_not_beside(self, seat: Seat, wave: int) -> str | None:
        if seat.host in self.busy:
            return "another job is on it"
        if seat.host in self.below_busy or not self.busy.isdisjoint(seat.above):
            return "what carries a machine and the machine do not go at once"
        members = self.members.get(wave, set())
        if seat.host in self.below_members.get(wave, ()) or not members.isdisjoint(seat.above):
            return "what carries a machine and the machine do not go in the same wave"
        if self.fleet_busy:
            return "a machine that the fleet stands on is being reinstalled"
        return None


def image_key(image: str) -> Key:
    """What jobs of an image take up."""
    return f"image {image}"


def taken(
    begun: Iterable[Job], site: Site, history: History, limits: Limits, now: datetime
) -> Taken:
    """What jobs take up that were let go, tonight and in other nights."""
    t = Taken(limits, dict(site.limit_of))
    hour = [at for at in history.posted if at > now - HOUR]
    active = tonight = 0
    for job in begun:
        seat = site[job.host]
        if job.posted_at is not None:
            tonight += 1
            if job.posted_at > now - HOUR:
                hour.append(job.posted_at)
        # A machine that waits for a person keeps its places: its customer has one down.
        if job.state.active or job.state is JobState.HELD:
            active += 1
            t.add(seat, job.image)
        if job.wave is not None and job.state not in NOT_OF_A_WAVE:
            t.join(seat, job.wave)
    for host in history.active_elsewhere:
        active += 1
        t.add(site[host], None)
    cap = min(limits.hour, HOURLY_CAP)
    t.room, t.why_no_room = min(
        (limits.total - active, f"{limits.total} machines at once, in all"),
        (cap - len(hour), f"{cap} machines an hour"),
        (limits.night - tonight, f"{limits.night} machines a night"),
    )
    if len(hour) >= cap > 0:
        t.room_again = sorted(hour)[len(hour) - cap] + timedelta(hours=1)
    return t
