"""How long a job may take."""

from __future__ import annotations

from datetime import timedelta

from reroot_fleet.values.job import Job
from reroot_fleet.values.policy import Policy


def needs(job: Job, policy: Policy) -> timedelta:
    """How long a job may take, by its plan's own deadlines where they are known."""
    if job.deadlines_s is None:
        return policy.assumed_duration
    return timedelta(seconds=job.deadlines_s)
