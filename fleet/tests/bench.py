"""The fleet's numbers: `make bench-fleet`. Ratios and counts of one run; nothing here is a timed test.

The machine that runs it may be busy: processor seconds say more than the clock does.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from reroot_fleet.flow.desk import TICKET_S
from reroot_fleet.memory import nights
from reroot_fleet.simulation import kill_table
from reroot_fleet.simulation.fate import HARSH, End, Odds
from reroot_fleet.simulation.ideal import Turn, alone_s, night_s
from reroot_fleet.simulation.invariants import Whole, broken
from reroot_fleet.simulation.model import Pace
from reroot_fleet.simulation.stage import BEGINS, NIGHT, Stage, hosts, policy
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import Window
from reroot_fleet.values.policy import HOURLY_CAP, Waves
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.zookeeper import Zookeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reroot_fleet.simulation.world import World
    from reroot_fleet.values.event import Event
    from reroot_fleet.values.job import Job

SLOW = Pace(
    look=1, check=20, copy=240, old_os=1500, ram=3000, boot=600, confirm=300, deadlines=28800
)
"""Old machines: about two hours each, so that the hourly cap alone fills four hundred places."""
WAITS = Pace(look=0.1, check=0.1, copy=0.1, old_os=1, ram=1e6)
"""Machines that come to their waiting at once, and stay there."""
SCALE = 60.0
SETTINGS: dict[str, float] = {"slots": 200, "threads": 48, "plan_s": 2.0, "look_s": 1.0,
            "poll_first_s": 300.0, "poll_longest_s": 900.0}  # fmt: skip


SETTLE_S = 300.0
"""After which the pauses between two looks at a machine have grown as long as they become."""
BACKLOG_S = 120.0
"""How long a backlog is watched."""


class Meter:
    """Processor seconds and memory of processes, while they live and behind it."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.cpu: dict[str, float] = {}
        self.rss: dict[str, int] = Counter()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._look()
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(1.0):
            self._look()

    def _look(self) -> None:
        for name, process in self._processes.items():
            try:
                spent = process.cpu_times()
                rss = process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self.cpu[name] = spent.user + spent.system
            self.rss[name] = max(self.rss[name], rss)


def night(
    where: kill_table.Where, directory: Path, count: int, odds: Odds, *, scale: float = SCALE
) -> None:
    """A night of so many machines with two conductors of two hundred places."""
    directory.mkdir()
    inventory = hosts(count, classes=4)
    # Machines are sped up, conductors and database are not: by their clock a ticket is as long as ever.
    settings = {**SETTINGS, "ticket_s": TICKET_S * scale}
    with Stage(directory, *where, scale=scale, ttl_s=15.0, settings=settings) as stage:
        stage.fill(inventory, policy(count, at_once=400))
        # The night begins when everything is set up, not while it is.
        stage.begun = time.time()
        world = stage.world(inventory, seed=42, odds=odds, pace=SLOW, dealt=True)
        pids = {name: stage.conductor(name).pid or 0 for name in ("a", "b")}
        with Meter(pids) as meter:
            begun = time.monotonic()
            over = stage.wait_until_over(6 * 3600, every_s=1.0)
            took = time.monotonic() - begun
        tell(stage, world, took, meter, over=over)


def backlog(where: kill_table.Where, directory: Path, count: int) -> None:
    """What machines cost that may not start yet: a conductor's processor time before the window opens."""
    directory.mkdir()
    begins = BEGINS + timedelta(hours=6)
    inventory = hosts(count, classes=4)
    with Stage(directory, *where, scale=1.0, ttl_s=15.0) as stage:
        window = Window(begins, begins + timedelta(hours=8))
        stage.fill(inventory, policy(count), window=window)
        stage.begun = time.time()
        stage.world(hosts(1))
        pid = stage.conductor("a").pid or 0
        process = psutil.Process(pid)
        time.sleep(BACKLOG_S / 4)  # it has come up, and has read the queue once
        before = process.cpu_times()
        time.sleep(BACKLOG_S)
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        rss = process.memory_info().rss
    print(f"  {count:6} in the queue   {1000 * spent / BACKLOG_S:.1f} ms of processor a second, "
          f"{rss / 2**20:.0f} MiB")  # fmt: skip


def waiting(where: kill_table.Where, directory: Path, count: int) -> None:
    """What a second of a real night costs one conductor while so many machines wait for their new OS."""
    directory.mkdir()
    inventory = hosts(count)
    with Stage(directory, *where, scale=1.0, ttl_s=15.0) as stage:
        everyone = Waves(canaries=max(1, count), ramp=(max(1, count),))
        stage.fill(inventory, policy(count, waves=everyone))
        stage.begun = time.time()
        stage.world(inventory or hosts(1), pace=WAITS)
        process = psutil.Process(stage.conductor("a").pid or 0)
        while sum(e.what is What.GO_ACCEPTED for e in stage.events()) < count:
            time.sleep(5.0)
        time.sleep(SETTLE_S)
        before = process.cpu_times()
        time.sleep(BACKLOG_S)
        after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    print(f"  {count:6} that wait      {1000 * spent / BACKLOG_S:.1f} ms of processor a second")


def tell(stage: Stage, world: World, took: float, meter: Meter, *, over: bool) -> None:
    """Prints what a night came to."""
    count = len(world.models)
    with stage.memory.read() as c:
        row = nights.get(c, NIGHT)
    assert row is not None
    jobs, events, seen = stage.jobs(), stage.events(), stage.socket.seen()
    states = Counter(j.state for j in jobs)
    faults = broken(Whole(row, jobs, events, seen, BEGINS))
    ideal = ideal_s(world, jobs, events) / stage.scale
    failed = [j for j in jobs if j.state in {JobState.REVERTED, JobState.HELD}]
    by_fleet = [j for j in failed if world.models[j.host].fate.end(0) is End.DONE]
    accepted = [len(s.accepted) for s in seen]
    at_once = most_at_once(events)
    print(f"  ended               {'all' if over else 'NOT ALL'}: "
          + ", ".join(f"{n} {s}" for s, n in sorted(states.items())))  # fmt: skip
    print(f"  accepted `go`       {sum(accepted)}, at most {max(accepted)} a machine; said "
          f"{sum(s.gos for s in seen)} times")  # fmt: skip
    print(f"  failed first try    {len(failed)} of {count} = {len(failed) / count:.2%}; of them "
          f"{len(by_fleet)} whose own run would have gone well")  # fmt: skip
    for job in by_fleet[:10]:
        print(f"    {job.host}: {job.state} at {job.step}: {job.cause}")
    print(f"  at once             {at_once} (limit 400)")
    print(f"  wall                {took:.0f} s, ideal {ideal:.0f} s: {took / ideal:.2f} times")
    print(f"  processor           {sum(meter.cpu.values()):.0f} s of both conductors: "
          f"{1000 * sum(meter.cpu.values()) / count:.0f} ms a machine")  # fmt: skip
    print("  memory              "
          + ", ".join(f"{n}: {r / 2**20:.0f} MiB" for n, r in sorted(meter.rss.items())))  # fmt: skip
    print(f"  events              {len(events)}; retries {steps_failed(events)}")
    for took_s, host in slowest(world, jobs)[:5]:
        print(f"    {host} took {took_s:.0f} s of the day longer than by itself")
    print(f"  invariants          {'hold' if not faults else f'{len(faults)} BROKEN'}")
    for fault in faults[:10]:
        print(f"    {fault}")


def ideal_s(world: World, jobs: Sequence[Job], events: Sequence[Event]) -> float:
    """What the same machines in the same order would take if the fleet cost nothing."""
    of = {job.id: job for job in jobs}
    let_go = dict.fromkeys(e.job for e in events if e.what is What.JOB_POSTED and e.job in of)
    turns = [
        Turn(job.host, job.machine_class, canary=job.wave == 0)
        for job in (of[name] for name in let_go if name is not None)
    ]
    return night_s(turns, world.models, at_once=400, hourly=HOURLY_CAP)


def slowest(world: World, jobs: Sequence[Job]) -> list[tuple[float, str]]:
    """By how much machines took longer than they take by themselves, the worst first."""
    return sorted(
        (
            (
                (job.ended_at - job.posted_at).total_seconds() - alone_s(world.models[job.host]),
                job.host,
            )
            for job in jobs
            if job.ended_at and job.posted_at
        ),
        reverse=True,
    )


def most_at_once(events: Sequence[Event]) -> int:
    """The most jobs that had a place at one moment."""
    now, most = 0, 0
    ends = {What.JOB_DONE, What.JOB_REVERTED, What.JOB_REFUSED, What.JOB_HELD, What.JOB_WITHDRAWN}
    for event in events:
        now += (event.what in {What.JOB_POSTED, What.JOB_TAKEN_UP}) - (event.what in ends)
        most = max(most, now)
    return most


def steps_failed(events: Sequence[Event]) -> int:
    """How often a step was tried again."""
    return sum(e.what is What.STEP_FAILED for e in events)


def kills(where: Callable[[], kill_table.Where], directory: Path, every: int) -> None:
    """The kill table."""
    writes = kill_table.trace(directory / "trace", where())
    points = kill_table.all_points(writes)[::every]
    rows = kill_table.table(directory, where, points)
    print(kill_table.told(rows))
    still = sorted(r.stood_still_s for r in rows if r.taken_up)
    print(f"\n{len(writes)} writes in a life; a claim lives {kill_table.TTL_S:.0f} s; a job stood still "
          f"for {still[len(still) // 2]:.1f} s in the middle, {still[-1]:.1f} s at most")  # fmt: skip
    for row in rows:
        if not row.good:
            print(f"BAD: {row.how} {row.number} {row.write}: {row.state}, {row.accepted} accepted")


def main() -> None:
    """Prints the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=2000)
    parser.add_argument("--scale", type=float, default=SCALE)
    parser.add_argument("--every", type=int, default=1, help="of the kill points")
    parser.add_argument("--only", choices=["night", "bad-night", "backlog", "waiting", "kills"])
    parser.add_argument("--board", choices=["redis", "zookeeper"], default="redis")
    args = parser.parse_args()
    with (
        Postgres() as postgres,
        Redis() if args.board == "redis" else Zookeeper() as server,
        tempfile.TemporaryDirectory(prefix="reroot-fleet-bench-") as temporary,
    ):
        directory = Path(temporary)

        def where() -> kill_table.Where:
            board = server.board() if isinstance(server, Zookeeper) else server.address
            return postgres.database(), board

        if args.only in {None, "night"}:
            print(f"A night of {args.machines} machines, the story's faults")
            night(where(), directory / "n", args.machines, Odds(), scale=args.scale)
        if args.only in {None, "bad-night"}:
            count = args.machines // 4
            print(f"A bad night of {count} machines: every kind of fault")
            night(where(), directory / "b", count, HARSH, scale=args.scale)
        if args.only in {None, "backlog"}:
            print("A backlog that may not start yet: one conductor, and the window opens in hours")
            for count in (1, args.machines * 10):
                backlog(where(), directory / f"q{count}", count)
        if args.only in {None, "waiting"}:
            print("Machines that wait, at the pace of a real night: one conductor")
            for count in (0, 200):
                waiting(where(), directory / f"w{count}", count)
        if args.only in {None, "kills"}:
            print("A conductor is killed, or stopped and continued, at every write of a job's life")
            kills(where, directory, args.every)


if __name__ == "__main__":
    main()
