"""The planner's decision at 100,000 machines, in processor time: printed, never a timed test.

A conductor reads and sorts the queue once, and decides on it again and again; who starts leaves it, and it is
sorted again then.

python bench/planner.py [MACHINES]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from reroot_fleet.policy.history import History
from reroot_fleet.policy.planner import decide_on
from reroot_fleet.policy.queue import Queue
from reroot_fleet.policy.site import Site, site
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, JobState, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Limits, Policy, Waves

NOW = datetime(2026, 1, 10, 22, tzinfo=UTC)
IMAGE = "blake3:1"
CLASSES = [
    MachineClass(firmware, storage, old_os, card)
    for firmware in ("bios", "uefi")
    for storage in ("scsi", "virtio", "lvm+scsi", "md+nvme")
    for old_os in ("ubuntu 12.04", "debian 11")
    for card in ("tg3", "virtio_net", "igb")
]
ROUNDS = 5


def hosts(n: int) -> list[Host]:
    """Machines of 2,000 customers in 2,500 racks on 5,000 hypervisors."""
    return [
        Host(
            f"m{i}",
            f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}",
            customer=f"c{i % 2000}",
            rack=f"r{i // 40}",
            hypervisor=f"hv{i // 20}",
            machine_class=CLASSES[i % len(CLASSES)],
        )
        for i in range(n)
    ]


def scenes(n: int) -> dict[str, tuple[Site, Night, list[Job], History]]:
    """States of a night that make the planner look at much."""
    inventory = hosts(n)
    limits = Limits(total=200, night=100_000, image=100_000)
    policy = Policy(limits=limits, waves=Waves(ramp=(5, 20, 100, 200)))
    seats = site(inventory, limits)
    night = Night("2026-01-10", Window(NOW, NOW + timedelta(hours=8)), policy, NightState.OPEN)
    queued = [
        Job(
            job_id(night.id, h.name, 1),
            night.id,
            h.name,
            IMAGE,
            machine_class=h.machine_class.key,
        )
        for h in inventory
    ]
    proven = History(
        proven=frozenset((c.key, IMAGE) for c in CLASSES), stage={IMAGE: len(policy.waves.ramp)}
    )
    half = [
        replace(j, state=JobState.RUNNING, wave=1, posted_at=NOW, since=NOW) if i % 500 == 0 else j
        for i, j in enumerate(queued)
    ]
    one_customer = site(
        [replace(h, customer="all", rack="all") for h in inventory], replace(limits, customer=1)
    )
    return {
        "before the window": (
            seats,
            replace(night, window=Window(NOW + timedelta(hours=1), NOW + timedelta(hours=9))),
            queued,
            History(),
        ),
        "the first canaries": (seats, night, queued, History()),
        "a wave of 200 begins": (seats, night, queued, proven),
        "200 on their way": (seats, night, half, proven),
        "everything waits for one customer": (one_customer, night, half[:1] + queued[1:], proven),
        "every class is stopped": (
            seats,
            replace(night, stopped_classes=frozenset(c.key for c in CLASSES)),
            queued,
            proven,
        ),
    }


def main() -> None:
    """Prints a line a scene: what was decided, and the fastest of a few rounds."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{n:,} machines; processor milliseconds, the least of {ROUNDS}")
    for name, (seats, night, jobs, history) in scenes(n).items():
        begun = [j for j in jobs if j.state is not JobState.QUEUED]
        queue = Queue.of([j for j in jobs if j.state is JobState.QUEUED], seats)
        decision = decide_on(NOW, night, begun, queue, seats, history)
        starts = {p.job for p in decision.post} or {jobs[-1].id}
        took = min(
            _took(partial(decide_on, NOW, night, begun, queue, seats, history))
            for _ in range(ROUNDS)
        )
        sorts = min(_took(partial(queue.without, starts)) for _ in range(ROUNDS))
        withheld = sum(map(len, decision.withheld.values()))
        print(
            f"{name:36} {took:6.1f} ms, and {sorts:5.1f} when somebody leaves; "
            f"{len(decision.post):4} start, {withheld:7,} withheld for {len(decision.withheld)} reasons"
        )


def _took(what: Callable[[], object]) -> float:
    began = time.process_time()
    what()
    return (time.process_time() - began) * 1000


if __name__ == "__main__":
    main()
