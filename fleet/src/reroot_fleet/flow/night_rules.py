"""What the night says to a `go` that is about to be said: asked once more, right before it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reroot_fleet.policy.windows import room
from reroot_fleet.values.night import Night, NightState

if TYPE_CHECKING:
    from datetime import datetime

    from reroot_fleet.values.job import Job
    from reroot_fleet.values.machine_plan import MachinePlan


def forbids_go(night: Night, job: Job, plan: MachinePlan, now: datetime) -> str | None:
    """Why no `go` may be said now; nothing where it may. `job` is for who reads the reason."""
    if night.state in {NightState.HALTED, NightState.CLOSED, NightState.PLANNED}:
        return f"the night {night.id} is {night.state}" + (
            f": {night.cause}" if night.cause else ""
        )
    if plan.machine_class.key in night.stopped_classes:
        return f"its class is stopped: {plan.machine_class}"
    needs, left = timedelta(seconds=plan.deadlines_s), room(night.window, now)
    if needs > left:
        return (
            f"the plan of {job.host} may take {_minutes(needs)}, and the window of the night"
            f" {night.id} has {_minutes(left)} left"
        )
    return None


def _minutes(length: timedelta) -> str:
    return f"{int(length.total_seconds() // 60)} min"
