"""What earlier nights have shown: which classes are proven, and how far the ramp has come."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reroot_fleet.policy.gates import Passage, wave_state
from reroot_fleet.policy.site import Site
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.policy import Policy

Group = tuple[str, str]
"""A class's key and an image's digest: what a canary speaks for."""


@dataclass(frozen=True, slots=True)
class History:
    """What earlier nights have shown."""

    proven: frozenset[Group] = frozenset()
    """Classes of machines with enough confirmed canaries of the image."""
    stage: Mapping[str, int] = field(default_factory=dict)
    """Waves of the ramp that each image has passed."""
    open_holds: Mapping[str, int] = field(default_factory=dict)
    """Machines of earlier nights that still wait for a person, by class."""
    posted: tuple[datetime, ...] = ()
    """Moments of the last hour in which jobs of other nights were let go."""
    active_elsewhere: tuple[str, ...] = ()
    """Hosts on which a job of another night is still active or held."""


def history(earlier: Iterable[Job], site: Site, policy: Policy, now: datetime) -> History:
    """What the jobs of other nights have shown; in the order of their nights."""
    done: Counter[Group] = Counter()
    waves: dict[tuple[str, str, int], list[Job]] = defaultdict(list)
    holds: Counter[str] = Counter()
    posted: list[datetime] = []
    elsewhere: list[str] = []
    for job in earlier:
        key = site.class_of(job)
        if job.state is JobState.DONE:
            done[key, job.image] += 1
        if job.state is JobState.HELD:
            holds[key] += 1
        if job.state is JobState.HELD or job.state.active:
            elsewhere.append(job.host)
        if job.wave is not None and 1 <= job.wave < ALONE_FROM:
            waves[job.night, job.image, job.wave].append(job)
        if job.posted_at is not None and job.posted_at > now - HOUR:
            posted.append(job.posted_at)
    return History(
        proven=frozenset(g for g, n in done.items() if n >= policy.waves.canaries),
        stage=_stages(waves, policy, now),
        open_holds=dict(holds),
        posted=tuple(sorted(posted)),
        active_elsewhere=tuple(elsewhere),
    )


HOUR = timedelta(hours=1)
ALONE_FROM = 1000
"""Waves from this number on are of one machine: the fleet's own."""


def _stages(
    waves: Mapping[tuple[str, str, int], list[Job]], policy: Policy, now: datetime
) -> dict[str, int]:
    stages: dict[str, int] = {}
    for (_, image, _), jobs in sorted(waves.items()):
        stage = stages.get(image, 0)
        state = wave_state(jobs, size_of(policy, stage), policy.gate, now)
        if state.passage is Passage.OPEN:
            stages[image] = stage + 1
    return stages


def size_of(policy: Policy, stage: int) -> int:
    """Machines of a wave after `stage` waves have passed; the last size repeats."""
    ramp = policy.waves.ramp
    return ramp[min(stage, len(ramp) - 1)]
