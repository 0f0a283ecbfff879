"""A night for tests: machines by a line each, jobs by a word each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reroot_fleet.policy.decision import Decision
from reroot_fleet.policy.history import History
from reroot_fleet.policy.planner import decide
from reroot_fleet.policy.site import Site, site
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, JobState, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Budget, Gate, Limits, Policy, Waves

OPENS = datetime(2026, 1, 10, 22, tzinfo=UTC)
NOW = OPENS + timedelta(hours=1)
CLOSES = OPENS + timedelta(hours=8)
IMAGE = "d1"
VIRTIO = MachineClass("bios", "virtio", "debian 11", "virtio_net")
METAL = MachineClass("uefi", "scsi", "ubuntu 12.04", "tg3")
WIDE = Limits(total=200, customer=200, rack=200, hypervisor=200, image=200, night=1000)
NO_BAKE = Gate(bake=timedelta(0))


def host(name: str, **facts: Any) -> Host:
    return Host(name, f"{name}.example.org", **{"machine_class": VIRTIO, **facts})


def hosts(n: int, prefix: str = "m", **facts: Any) -> list[Host]:
    return [host(f"{prefix}{i}", **facts) for i in range(n)]


def policy(**parts: Any) -> Policy:
    return Policy(**{"limits": WIDE, "waves": Waves(ramp=(200,)), **parts})


def night(state: NightState = NightState.OPEN, **parts: Any) -> Night:
    own = {k: parts.pop(k) for k in ("cause", "stopped_classes") if k in parts}
    window = parts.pop("window_is", Window(OPENS, CLOSES))
    return Night("2026-01-10", window, policy(**parts), state, **own)


def job(name: str, state: JobState = JobState.QUEUED, **fields: Any) -> Job:
    made = Job(job_id("2026-01-10", name, 1), "2026-01-10", name, IMAGE, state=state)
    if state is not JobState.QUEUED and state is not JobState.WITHDRAWN:
        made = replace(made, wave=1, posted_at=OPENS, since=OPENS)
    if state.ended:
        made = replace(made, ended_at=OPENS + timedelta(minutes=10))
    return replace(made, **fields)


def queued(machines: Iterable[Host], **fields: Any) -> list[Job]:
    return [job(h.name, **fields) for h in machines]


def proven(*classes: MachineClass, stage: int = 0, **more: Any) -> History:
    groups = frozenset((c.key, IMAGE) for c in classes or (VIRTIO, METAL))
    return History(proven=groups, stage={IMAGE: stage}, **more)


def site_of(machines: Iterable[Host], it: Night) -> Site:
    return site(machines, it.policy.limits)


def decided(
    machines: list[Host],
    jobs: list[Job],
    it: Night | None = None,
    history: History | None = None,
    now: datetime = NOW,
) -> Decision:
    it = it or night()
    decision = decide(now, it, jobs, site_of(machines, it), history or proven())
    every_job_has_one_answer(jobs, decision)
    return decision


def every_job_has_one_answer(jobs: list[Job], decision: Decision) -> None:
    answers = [p.job for p in decision.post] + [j for j, _ in decision.withhold]
    assert sorted(answers) == sorted(j.id for j in jobs if j.state is JobState.QUEUED)


def started(decision: Decision) -> list[str]:
    return [p.host for p in decision.post]


__all__ = ["Budget", "Gate", "Limits", "Waves"]
