"""What is drawn for the page and for files: the report, the night's tree, a machine's run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reroot_fleet.memory import events, jobs, machines, nights
from reroot_fleet.memory.look import look
from reroot_fleet.policy import report as reports
from reroot_fleet.policy.drawing.night import night_svg
from reroot_fleet.policy.drawing.run import run_svg
from reroot_fleet.policy.report_text import html
from reroot_fleet.policy.timeline import timeline

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.values.job import Job
    from reroot_fleet.values.night import Night


def of_night(c: Connection, night: Night, now: datetime) -> reports.Report:
    """The night's report as values."""
    some = jobs.select(c, night=night.id)
    return reports.report(night, some, machines.every(c), events.read(c, night=night.id), now)


def report(c: Connection, night: Night, now: datetime) -> str:
    """The morning after, as HTML."""
    return html(of_night(c, night, now))


def tree(c: Connection, night: Night, now: datetime) -> str:
    """The night as a tree, as SVG."""
    return night_svg(look(c, night, now).overview)


def newest_job(c: Connection, host: str) -> Job | None:
    """The machine's newest job."""
    opened = {night.id: night.window.opens for night in nights.every(c)}
    some = jobs.select(c, host=host)
    return max(some, key=lambda j: (opened[j.night], j.attempt), default=None)


def run(c: Connection, host: str, now: datetime) -> str | None:
    """One machine's newest run, as SVG."""
    job = newest_job(c, host)
    if job is None:
        return None
    night = nights.get(c, job.night)
    zone = night.policy.window.zone if night is not None else "UTC"
    return run_svg(job, timeline(events.read(c, job=job.id)), now, zone)
