"""Sets a simulated night up: the memory's machines, image, night and queue, and the world."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from datetime import time as day_time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reroot_fleet.memory import events, images, jobs, machines, nights
from reroot_fleet.memory.database import Memory, open_memory
from reroot_fleet.simulation import process, server
from reroot_fleet.simulation.client import WorldSocket
from reroot_fleet.simulation.fate import NO_FAULTS, Odds
from reroot_fleet.simulation.model import Pace
from reroot_fleet.simulation.process import Scene
from reroot_fleet.simulation.world import World, build
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Budget, Gate, Limits, Policy, Waves, WindowRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.process import BaseProcess

    from reroot_fleet.values.event import Event

PATIENCE_S = 120.0
"""The machine may be busy."""
IMAGE = "0" * 64
NIGHT = "2026-11-27"
BEGINS = datetime(2026, 11, 27, 22, 0, 30, tzinfo=UTC)
OPERATOR = "operator test"


def hosts(count: int, *, classes: int = 1, per_rack: int = 20) -> list[Host]:
    """So many machines, in racks, for customers, of some classes."""
    return [
        Host(
            f"shop{n:04d}",
            "192.0.2.1",
            customer=f"customer{n % 97}",
            rack=f"rack{n // per_rack}",
            hypervisor=f"hypervisor{n // 8}",
            machine_class=MachineClass("bios", "virtio", f"old{n % classes}", "virtio_net"),
        )
        for n in range(count)
    ]


def policy(
    count: int, *, at_once: int = 400, waves: Waves | None = None, budget: Budget | None = None
) -> Policy:
    """A policy under which so many machines can go in one long night."""
    return Policy(
        name="simulated",
        window=WindowRule(begins=day_time(22, 0), ends=day_time(21, 0)),
        limits=Limits(
            total=at_once,
            customer=at_once,
            rack=at_once,
            hypervisor=at_once,
            image=at_once,
            night=count,
        ),
        waves=waves or Waves(canaries=1, ramp=(count,)),
        gate=Gate(bake=timedelta(0), reverted=count, held=count),
        budget=budget
        or Budget(holds_stop_class=count, holds_stop_night=count, reverted_pauses=1.0),
        hooks={"drain": "drain", "undrain": "undrain", "confirm": "confirm"},
    )


@dataclass(slots=True)
class Stage:
    """A simulated night in a directory, on a database and a board that are there."""

    directory: Path
    database: str
    board: str
    scale: float = 60.0
    ttl_s: float = 3.0
    settings: Mapping[str, float] = field(default_factory=dict)
    begins: datetime = BEGINS
    begun: float = field(default_factory=time.time)
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    _world: BaseProcess | None = None
    _memory: Memory | None = None

    # -- setting up ---------------------------------------------------------------------------

    @property
    def scene(self) -> Scene:
        """For the processes."""
        return Scene(
            self.database,
            self.board,
            str(self.directory / "world"),
            self.begun,
            self.begins.isoformat(),
            self.scale,
            self.ttl_s,
            dict(self.settings),
            self.directory.name,
        )

    @property
    def memory(self) -> Memory:
        """The memory."""
        if self._memory is None:
            self._memory = open_memory(self.database)
        return self._memory

    def fill(self, inventory: list[Host], rules: Policy, *, window: Window | None = None) -> None:
        """Inventory, image, an open night, and everyone queued."""
        now = self.scene.clock.now()
        long = window or Window(
            self.begins - timedelta(minutes=1), self.begins + timedelta(hours=23)
        )
        with self.memory.begin() as c:
            machines.replace_all(c, inventory, now=now, who=OPERATOR)
            images.add(c, images.Image(IMAGE, "trixie", "/nowhere/trixie.reroot", 1, now))
            night = Night(NIGHT, long, rules)
            nights.create(c, night, now=now, who=OPERATOR)
            nights.move(
                c, NIGHT, NightState.OPEN, expect=(NightState.PLANNED,), now=now, who=OPERATOR
            )
            for host in inventory:
                name, key = job_id(NIGHT, host.name, 1), host.machine_class.key
                job = Job(name, NIGHT, host.name, IMAGE, machine_class=key)
                jobs.queue(c, job, now=now, who=OPERATOR)

    def serve(self, world: World) -> None:
        """Starts the world's process."""
        self._world = _start(server.serve, world, self._socket, self.begun, self.scale)
        end = time.monotonic() + PATIENCE_S
        while not self._socket.exists() and time.monotonic() < end:
            time.sleep(0.02)

    @property
    def _socket(self) -> Path:
        return self.directory / "world"

    def world(
        self,
        inventory: list[Host],
        *,
        seed: int = 1,
        odds: Odds = NO_FAULTS,
        pace: Pace | None = None,
        dealt: bool = False,
    ) -> World:
        """A world of those machines, as it is at its beginning."""
        names = [host.name for host in inventory]
        made = build(names, seed=seed, odds=odds, pace=pace or Pace(), dealt=dealt)
        self.serve(made)
        return made

    def conductor(
        self,
        name: str,
        *,
        trap: str | None = None,
        trace: Path | None = None,
        database: str | None = None,
        board: str | None = None,
    ) -> BaseProcess:
        """Starts a conductor's process; `database`, `board`: other ways to them."""
        log = self.directory / f"{name}.log"
        scene = self.scene
        scene = replace(scene, database=database or scene.database, board=board or scene.board)
        started = _start(process.run, scene, name, log, trap, trace)
        self.processes[name] = started
        return started

    # -- looking ------------------------------------------------------------------------------

    @property
    def socket(self) -> WorldSocket:
        """To ask the world what happened."""
        return WorldSocket(self.directory / "world")

    def jobs(self) -> list[Job]:
        """All jobs."""
        with self.memory.read() as c:
            return jobs.select(c)

    def events(self) -> list[Event]:
        """The whole log."""
        with self.memory.read() as c:
            return list(events.read_all(c))

    def wait_until_over(self, limit_s: float, *, every_s: float = 0.25) -> bool:
        """Whether every job ended in that time."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            with self.memory.read() as c:
                counted = jobs.counts(c)
            if all(n == 0 or state.ended for state, n in counted.items()):
                return True
            time.sleep(every_s)
        return False

    def log(self) -> str:
        """What the conductors said, and what was written down."""
        said = [p.read_text() for p in sorted(self.directory.glob("*.log"))]
        told = [
            f"{e.at:%d %H:%M:%S} {e.what} {e.job or ''} {e.why} {dict(e.detail)}"
            for e in self.events()
        ]
        return "\n".join([*said, *told])

    # -- ending -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends every process of it."""
        for running in [*self.processes.values(), *([self._world] if self._world else [])]:
            running.kill()
            running.join()
        if self._memory is not None:
            self._memory.close()


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "reroot_fleet.simulation.process",
        "reroot_fleet.simulation.server",
        "reroot_fleet.board.redis_board",
        "reroot_fleet.board.zookeeper_board",
    ]
)


def _start(what: Callable[..., None], *args: object) -> BaseProcess:
    """A process that has imported everything already: a start costs milliseconds, not seconds."""
    started = _FORKS.Process(target=what, args=args, daemon=True)
    started.start()
    return started
