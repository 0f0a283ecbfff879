"""`reroot-fleet conductor`: be a conductor until told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from reroot_fleet.alerts.channels import channels
from reroot_fleet.alerts.sender import Sender
from reroot_fleet.conductor.conductor import Conductor, process_mark
from reroot_fleet.conductor.hooks import ProgramHooks
from reroot_fleet.conductor.settings import Settings
from reroot_fleet.machine.clock import SystemClock
from reroot_fleet.memory.database import IDLE_S, open_memory
from reroot_fleet.talk import fleet, logs, reach

if TYPE_CHECKING:
    from types import FrameType


def conductor(
    *,
    name: Annotated[
        str | None, typer.Option(help="Unique among the conductors; by default the host's name.")
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Machines at once.")] = None,
) -> None:
    """Claim jobs and run them, keep the night, send alerts; a second signal does not hurry it."""
    logs.set_up(plain=sys.stderr.isatty())
    settings = fleet.settings()
    called = name or socket.gethostname()
    memory = open_memory(settings.database, idle_s=IDLE_S)
    mark = process_mark(called)
    works = Conductor(
        Settings(called, slots=slots or settings.slots),
        memory,
        reach.board(mark),
        SystemClock(),
        reach.machine,
        ProgramHooks,
        mark,
    )
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        works.leave()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    sender = Sender(memory, channels(settings), fleet.now)
    threading.Thread(target=sender.run, args=(stop,), daemon=True).start()
    try:
        works.run()
    finally:
        stop.set()
