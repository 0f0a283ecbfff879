"""A conductor of simulated machines, as a process of its own: what the tests kill and pause."""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.board.opening import open_board
from reroot_fleet.conductor.conductor import Conductor, process_mark
from reroot_fleet.conductor.settings import Settings
from reroot_fleet.machine.clock import FastClock
from reroot_fleet.memory.database import IDLE_S, open_memory
from reroot_fleet.simulation import trap
from reroot_fleet.simulation.client import SimulatedMachine, WorldSocket
from reroot_fleet.simulation.hooks import SimulatedHooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reroot_fleet.machine.seam import Hooks, Machine
    from reroot_fleet.values.host import Host


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything of a simulation is."""

    database: str
    board: str
    """Its address."""
    socket: str
    begun: float
    begins: str
    """ISO, the time of day at the beginning."""
    scale: float
    ttl_s: float
    settings: dict[str, float]
    """Of `Settings`, where they differ."""
    namespace: str = "reroot-fleet"
    """Of a Redis board's keys."""

    @property
    def clock(self) -> FastClock:
        """The simulation's clock."""
        return FastClock(self.begun, datetime.fromisoformat(self.begins), self.scale)


def conductor(scene: Scene, name: str, spring: trap.Trap | trap.NoTrap) -> Conductor:
    """A conductor of that scene."""
    clock, mark = scene.clock, process_mark(name)
    settings = Settings(name, **scene.settings)  # type: ignore[arg-type]
    connections = min(settings.threads, 16)
    memory = open_memory(scene.database, connections=connections, idle_s=IDLE_S)
    board = open_board(scene.board, mark, ttl_s=scene.ttl_s, namespace=scene.namespace)
    world = WorldSocket(Path(scene.socket))

    def machine(host: Host) -> Machine:
        return spring.machine(SimulatedMachine(host, world, clock))

    def hooks(programs: Mapping[str, str]) -> Hooks:
        return spring.hooks(SimulatedHooks(programs, world))

    return Conductor(
        settings, spring.memory(memory), spring.board(board), clock, machine, hooks, mark
    )


def run(scene: Scene, name: str, log: Path, trapped: str | None, trace: Path | None) -> None:
    """Runs until SIGTERM, or until its trap springs."""
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    level = os.environ.get("REROOT_FLEET_LOG", "WARNING")
    shape = f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=shape, stream=sys.stderr, force=True)
    logging.getLogger("taskflow").setLevel(logging.ERROR)
    ours = conductor(scene, name, trap.of(trapped, trace))
    signal.signal(signal.SIGTERM, lambda *_: ours.leave())
    ours.run()
