"""A simulated machine, asked through the world's socket: the other side of the seam."""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

from reroot_fleet.machine.faults import MachineFault
from reroot_fleet.simulation.server import packed
from reroot_fleet.simulation.world import Reply, Seen

if TYPE_CHECKING:
    from pathlib import Path

    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.machine.seam import Answer, Confirmation, ImageFile, Look, Order, Wishes
    from reroot_fleet.values.findings import Finding
    from reroot_fleet.values.host import Host
    from reroot_fleet.values.machine_plan import MachinePlan

_LENGTH = struct.Struct("!I")


class WorldSocket:
    """A connection for each thread that asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def ask(self, *question: Any) -> Any:  # noqa: ANN401 - whatever was asked for
        """One question, one answer."""
        stream = getattr(self._own, "stream", None)
        if stream is None:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.connect(str(self._path))
            self._own.stream = stream
        stream.sendall(packed(question))
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        return pickle.loads(_exactly(stream, length))  # noqa: S301 - our own socket

    def seen(self) -> tuple[Seen, ...]:
        """What happened to every machine."""
        found: tuple[Seen, ...] = self.ask("seen")
        return found


def _exactly(stream: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = stream.recv(length - len(parts))
        if not part:
            raise ConnectionError("the simulated world is gone")
        parts += part
    return bytes(parts)


class SimulatedMachine:
    """A `Machine` in the world."""

    def __init__(self, host: Host, world: WorldSocket, clock: Clock) -> None:
        self._host = host
        self._world = world
        self._clock = clock

    @property
    def host(self) -> Host:
        """Which one."""
        return self._host

    def _ask(self, op: str, *args: object) -> Any:  # noqa: ANN401 - of the operation
        reply: Reply = self._world.ask(self._host.name, op, args)
        self._clock.sleep(reply.after_s)
        if reply.fault is not None:
            raise MachineFault(
                reply.fault, f"ask {self._host.name} ({op})", f"simulated: {reply.fault}"
            )
        return reply.value

    def greet(self) -> None:
        """Its banner."""
        self._ask("greet")

    def look(self, image: str) -> Look:
        """Boot, uptime, runs."""
        found: Look = self._ask("look", image)
        return found

    def check(self, wishes: Wishes) -> tuple[Finding, ...]:
        """Its checks."""
        found: tuple[Finding, ...] = self._ask("check", wishes)
        return found

    def plan(self, wishes: Wishes) -> MachinePlan:
        """Its plan."""
        found: MachinePlan = self._ask("plan", wishes)
        return found

    def copy(self, image: ImageFile, kib_per_s: int | None) -> None:
        """Takes a while, and is in place at its end only."""
        del kib_per_s
        self._ask("copying")
        self._ask("copied", image.digest)

    def rehearse(self, order: Order) -> Answer:
        """Begins a rehearsal."""
        found: Answer = self._ask("rehearse", order)
        return found

    def go(self, order: Order) -> Answer:
        """Begins the run, or attaches."""
        found: Answer = self._ask("go", order)
        return found

    def confirm(self, run: str) -> Confirmation:
        """The first boot's comparison."""
        found: Confirmation = self._ask("confirm", run)
        return found

    def clear(self, image: str) -> None:
        """Removes the image."""
        self._ask("clear", image)
