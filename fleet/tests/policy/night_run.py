"""Runs a night against the planner alone: decisions are carried out at once, machines do as told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reroot_fleet.policy.decision import Decision, StopKind
from reroot_fleet.policy.history import History
from reroot_fleet.policy.planner import decide
from reroot_fleet.policy.site import Site
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState

Check = Callable[[datetime, Night, dict[str, Job], Decision], None]


@dataclass(frozen=True)
class Fate:
    """What becomes of a machine."""

    ends: JobState | None = JobState.DONE
    """`None`: it never ends."""
    minutes: int = 20
    cause: str = ""


@dataclass
class NightRun:
    """A night from its opening to its close, a minute a step."""

    night: Night
    site: Site
    jobs: dict[str, Job]
    fates: dict[str, Fate]
    history: History = field(default_factory=History)
    orders: dict[int, NightState] = field(default_factory=dict)
    """What a person does, by minute."""
    check: Check | None = None
    lines: list[str] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)
    now: datetime = field(init=False)

    def run(self) -> str:
        """The transcript."""
        self.now = self.night.window.opens
        minute = 0
        while self.now < self.night.window.closes + timedelta(hours=3):
            if minute in self.orders:
                self._become(self.orders[minute], "operator ann")
            self._machines()
            self._decide()
            if self.night.state is NightState.HALTED and not self._active():
                break
            minute += 1
            self.now += timedelta(minutes=1)
        self._summary()
        return "\n".join(self.lines) + "\n"

    def _active(self) -> list[Job]:
        return [j for j in self.jobs.values() if j.state.active]

    def _say(self, text: str) -> None:
        self.lines.append(f"{self.now:%H:%M} {text}")

    def _machines(self) -> None:
        ended: dict[str, list[str]] = {}
        for job in self._active():
            fate = self.fates.get(job.host, Fate())
            assert job.posted_at is not None
            age = self.now - job.posted_at
            if job.state is JobState.POSTED:
                self._set(job, state=JobState.RUNNING)
            elif job.go_at is None and age >= timedelta(minutes=5):
                deadline = self.now + timedelta(hours=1)
                self._set(job, go_at=self.now, deadline=deadline, step=Atom.ANSWER)
            elif fate.ends is not None and age >= timedelta(minutes=fate.minutes):
                self._set(job, state=fate.ends, ended_at=self.now, cause=fate.cause or None)
                word = f"{fate.ends}{': ' if fate.cause else ''}{fate.cause}"
                ended.setdefault(word, []).append(job.host)
        for word, names in ended.items():
            self._say(f"{word}: {_hosts(names)}" if word == "done" else f"{' '.join(names)} {word}")

    def _set(self, job: Job, **fields: object) -> None:
        self.jobs[job.id] = replace(job, **fields)  # type: ignore[arg-type]

    def _become(self, state: NightState, cause: str) -> None:
        if self.night.state is NightState.PAUSED and state is NightState.OPEN:
            self.night = replace(self.night, resumed_at=self.now)
        self.night = replace(self.night, state=state, cause=cause)
        self._say(f"night {state}: {cause}")

    def _decide(self) -> None:
        decision = decide(self.now, self.night, list(self.jobs.values()), self.site, self.history)
        if self.check is not None:
            self.check(self.now, self.night, self.jobs, decision)
        for stop in decision.stop:
            if stop.kind is StopKind.CLASS:
                assert stop.machine_class is not None
                stopped = self.night.stopped_classes | {stop.machine_class}
                self.night = replace(self.night, stopped_classes=stopped)
                self._say(f"class stopped: {stop.cause}")
            else:
                paused = stop.kind is StopKind.PAUSE
                self._become(NightState.PAUSED if paused else NightState.HALTED, stop.cause)
        for late in decision.late:
            self._set(self.jobs[late], state=JobState.HELD, cause="past its deadline")
            self._say(f"{self.jobs[late].host} late")
        for taken in decision.withdraw:
            self._set(self.jobs[taken.job], state=JobState.WITHDRAWN, cause=taken.cause)
            self._say(f"{self.jobs[taken.job].host} withdrawn: {taken.cause}")
        for posting in decision.post:
            job = self.jobs[posting.job]
            self._set(job, state=JobState.POSTED, wave=posting.wave, posted_at=self.now)
        for wave in sorted({p.wave for p in decision.post}):
            self._say(f"wave {wave}: {_hosts([p.host for p in decision.post if p.wave == wave])}")
        self._alerts(decision)

    def _alerts(self, decision: Decision) -> None:
        found = {a.key: a for a in decision.alerts}
        for key in sorted(found.keys() - self.alerts):
            self._say(f"alert {found[key].severity}: {found[key].summary}")
        for key in sorted(self.alerts - found.keys()):
            self._say(f"alert over: {key}")
        self.alerts = set(found)

    def _summary(self) -> None:
        counts = [
            f"{n} {state}"
            for state in JobState
            if (n := sum(j.state is state for j in self.jobs.values()))
        ]
        self._say(f"end, {self.night.state}: {', '.join(counts)}")


def _hosts(hosts: list[str]) -> str:
    return " ".join(hosts) if len(hosts) <= 8 else f"{len(hosts)} from {hosts[0]} to {hosts[-1]}"
