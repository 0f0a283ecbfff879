"""Whether a wait is over before its time: asked of the machine, decided by a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reroot_fleet.flow.outcome import Watch
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.values.machine_status import MachineStatus, RunState

if TYPE_CHECKING:
    from reroot_fleet.machine.seam import Machine

GOING_ON = frozenset({RunState.IN_PROGRESS, RunState.COMMITTED, RunState.UNKNOWN})
"""A run that is waited for, until the plan's deadlines have passed."""


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
        return found.state is not RunState.IN_PROGRESS
    return found.state not in GOING_ON


def poll(machine: Machine, image: str, watch: Watch, run: str | None) -> bool:
    """Asks: the banner first, which is cheap, and a session only where that was said.

    It writes nothing, and the flow's engine is not asked: most answers are that nothing is new.
    """
    try:
        machine.greet()
        if watch is Watch.CONFIRMED:
            return machine.confirm(run or "").known
        status: MachineStatus | None = machine.look(image).status
    except MachineFault as fault:
        # Who is not let into the RAM environment waits, as the step would.
        waits = fault.passing or (fault.kind is Fault.LOGIN and watch is Watch.SETTLED)
        if not waits or watch is Watch.CONFIRMED:
            return True  # it was there, and does not answer: the step has its tries for that
        status = None
    return ripe(watch, run, status)
