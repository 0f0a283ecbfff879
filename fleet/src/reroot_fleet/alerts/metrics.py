"""Metrics for Prometheus, read from the memory when they are asked for.

No host's name is in a label, nor a customer's: a fleet of two thousand would be as many series, and
who reads metrics need not know whose machines they are. Counters begin with the process.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from reroot_fleet.alerts.watchdog import alive
from reroot_fleet.memory import events, nights, outbox
from reroot_fleet.memory.errors import MemoryFault
from reroot_fleet.memory.look import look
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.night import NightState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.memory.database import Memory
    from reroot_fleet.memory.look import Look

LIVE = (NightState.PLANNED, NightState.OPEN, NightState.PAUSED, NightState.HALTED)
BOUNDS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 2400, 4800)


class Named(Protocol):
    """A channel's name is all that is asked here."""

    @property
    def name(self) -> str:
        """The channel's name."""


class FleetCollector(Collector):
    """Reads the memory once for each scrape."""

    def __init__(
        self, memory: Memory, now: Callable[[], datetime], channels: Sequence[Named] = ()
    ) -> None:
        self._memory = memory
        self._now = now
        self._channels = [channel.name for channel in channels]
        self._seen: int | None = None
        self._events: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._steps: dict[str, list[float]] = {}
        self._sums: dict[str, float] = {}

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of the memory before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything."""
        up = GaugeMetricFamily("reroot_fleet_memory_up", "Whether the database answers.")
        try:
            found = list(self._read())
        except MemoryFault:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def _read(self) -> Iterator[Metric]:
        now = self._now()
        with self._memory.read() as c:
            looks = [look(c, night, now) for night in nights.every(c, LIVE)]
            opened = outbox.open_alerts(c)
            unsent = {name: outbox.undelivered(c, name, now=now)[0] for name in self._channels}
            self._count(c)
        yield from _of_nights(looks)
        living = alive(looks[0].conductors, now) if looks else []
        yield _gauge("reroot_fleet_conductors_alive", "Conductors heard of lately.", len(living))
        slots = sum(sign.slots for sign in living)
        yield _gauge("reroot_fleet_slots", "Machines that the living conductors can hold.", slots)
        used = sum(sign.running for sign in living)
        yield _gauge("reroot_fleet_slots_used", "Machines that they hold.", used)
        yield _gauge("reroot_fleet_alerts_open", "Alerts that are not resolved.", len(opened))
        waiting = GaugeMetricFamily(
            "reroot_fleet_alerts_unsent", "Messages not yet taken.", labels=["channel"]
        )
        for name, number in unsent.items():
            waiting.add_metric([name], number)
        yield waiting
        yield from self._counted()

    def _count(self, c: Connection) -> None:
        if self._seen is None:
            self._seen = events.last_number(c)
        for event in events.read(c, after=self._seen):
            self._seen = event.number or self._seen
            self._events[str(event.what)] += 1
            self._step(event)

    def _step(self, event: Event) -> None:
        step = str(event.detail.get("step", ""))
        if event.what is What.STEP_FAILED:
            self._failures[step] += 1
        if event.what is What.STEP_DONE and "seconds" in event.detail:
            seconds = float(event.detail["seconds"])
            buckets = self._steps.setdefault(step, [0.0] * (len(BOUNDS) + 1))
            self._sums[step] = self._sums.get(step, 0.0) + seconds
            for number, bound in enumerate((*BOUNDS, float("inf"))):
                if seconds <= bound:
                    buckets[number] += 1

    def _counted(self) -> Iterator[Metric]:
        told = CounterMetricFamily(
            "reroot_fleet_events", "Events written since this process began.", labels=["what"]
        )
        for what, number in sorted(self._events.items()):
            told.add_metric([what], number)
        yield told
        failures = CounterMetricFamily(
            "reroot_fleet_step_failures", "Tries of steps that failed.", labels=["step"]
        )
        for step, number in sorted(self._failures.items()):
            failures.add_metric([step], number)
        yield failures
        lengths = HistogramMetricFamily(
            "reroot_fleet_step_seconds", "How long steps took.", labels=["step"]
        )
        for step, buckets in sorted(self._steps.items()):
            bounds = [*map(str, BOUNDS), "+Inf"]
            lengths.add_metric([step], list(zip(bounds, buckets, strict=True)), self._sums[step])
        yield lengths


def _of_nights(looks: Iterable[Look]) -> Iterator[Metric]:
    """Sums over the nights that are not closed: there is nearly always one."""
    jobs = GaugeMetricFamily(
        "reroot_fleet_jobs", "Machines of nights that are not closed.", labels=["state"]
    )
    states = GaugeMetricFamily(
        "reroot_fleet_nights", "Nights that are not closed.", labels=["state"]
    )
    counts: Counter[str] = Counter()
    held = reverted = stuck = 0
    ratio, closes = 0.0, 0.0
    by_state: Counter[str] = Counter({str(state): 0 for state in LIVE})
    for found in looks:
        view = found.overview
        counts.update({str(state): n for state, n in view.counts})
        by_state[str(view.night.state)] += 1
        held += view.budget.held
        reverted += view.budget.reverted
        ratio = max(ratio, view.budget.share)
        stuck += len(view.stuck)
        closes = max(closes, view.night.window.closes.timestamp())
    for state, number in sorted(counts.items()):
        jobs.add_metric([state], number)
    for state, number in sorted(by_state.items()):
        states.add_metric([state], number)
    yield jobs
    yield states
    yield _gauge("reroot_fleet_budget_held", "Machines that need a person.", held)
    yield _gauge("reroot_fleet_budget_reverted", "Machines that reverted.", reverted)
    yield _gauge("reroot_fleet_budget_reverted_ratio", "Their share of those begun.", ratio)
    yield _gauge("reroot_fleet_stuck", "Machines that want a look.", stuck)
    yield _gauge(
        "reroot_fleet_window_closes_timestamp_seconds", "When the last window closes.", closes
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def registry(
    memory: Memory, now: Callable[[], datetime], channels: Sequence[Named] = ()
) -> CollectorRegistry:
    """A registry with nothing but the fleet."""
    found = CollectorRegistry()
    found.register(FleetCollector(memory, now, channels))
    return found
