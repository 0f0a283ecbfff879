"""Whether a wait is over before its time: asked of the machine, decided by a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reroot_fleet.flow.outcome import Watch
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.values.machine_status import RunState
from reroot_fleet.values.sighting import Sighting

if TYPE_CHECKING:
    from reroot_fleet.machine.seam import Machine
    from reroot_fleet.values.machine_status import MachineStatus

GOING_ON = frozenset({RunState.IN_PROGRESS, RunState.COMMITTED, RunState.UNKNOWN})
"""A run that is waited for, until the plan's deadlines have passed."""
THROUGH_RAM = frozenset({Watch.SETTLED, Watch.REHEARSED})
"""What is waited for while a run may be in the RAM environment."""


def ripe(watch: Watch, run: str | None, status: MachineStatus | None) -> bool:
    """Whether what was waited for is there; `None` as status: the machine is silent."""
    if watch is Watch.NOTHING:
        return False
    if status is None:
        return watch is Watch.GONE
    found = status.run(run) if run else None
    if found is None:
        # The machine answers and knows nothing of the run: the step has to judge that.
        return True
    if watch is Watch.GONE:
        # In the RAM environment it is gone from its OS, and what is waited for is another one.
        return status.in_ram or found.state is not RunState.IN_PROGRESS
    if status.in_ram:
        return found.state is not RunState.IN_PROGRESS  # it holds, and says so itself
    return found.state not in GOING_ON


@dataclass(frozen=True, slots=True)
class Polled:
    """What a look at a machine that is waited for has found."""

    over: bool
    """What was waited for is there."""
    sighting: Sighting | None = None
    """How far its run is, where it said so."""


def poll(machine: Machine, image: str, watch: Watch, run: str | None) -> Polled:
    """Asks: the banner first, which is cheap, and a session only where that was said.

    It writes nothing, and the flow's engine is not asked: most answers are that nothing is new.
    """
    try:
        machine.greet()
        if watch is Watch.CONFIRMED:
            return Polled(machine.confirm(run or "").known)
        status: MachineStatus | None = machine.look(image).status
    except MachineFault as fault:
        # Who is not let into the RAM environment waits, as the step would.
        waits = fault.passing or (fault.kind is Fault.LOGIN and watch in THROUGH_RAM)
        if not waits or watch is Watch.CONFIRMED:
            return Polled(over=True)  # it was there, and does not answer: the step has its tries
        status = None
    found = status.run(run) if status is not None and run else None
    sighting = None
    if found is not None and found.reached is not None and found.state is RunState.IN_PROGRESS:
        sighting = Sighting(
            found.reached, found.percent, in_ram=status is not None and status.in_ram
        )
    return Polled(ripe(watch, run, status), sighting)
