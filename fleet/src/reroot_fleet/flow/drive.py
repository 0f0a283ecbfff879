"""Runs a job's flow until there is nothing to do for a thread: ended, held, waiting, or not ours."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from taskflow import states
from taskflow.engines.action_engine.engine import SerialActionEngine
from taskflow.exceptions import WrappedFailure

from reroot_fleet.flow.graph import Failed, build
from reroot_fleet.flow.records import RecordBackend
from reroot_fleet.flow.stop import Stop, Why

if TYPE_CHECKING:
    from reroot_fleet.flow.desk import Desk

LOG = logging.getLogger(__name__)


class Left(StrEnum):
    """How a flow was left."""

    ENDED = "ended"
    """The job has ended, and the memory says how."""
    HELD = "held"
    """A person is needed. The flow stands where it stood."""
    WAITING = "waiting"
    """`desk.wait` says for what."""
    DROPPED = "dropped"
    """It is not ours any more, or the memory does not answer."""


@dataclass(frozen=True, slots=True)
class Drive:
    """The result of one drive."""

    left: Left
    why: Why | None = None


def drive(desk: Desk) -> Drive:
    """Goes on with the flow from where it was left."""
    desk.wait = None
    try:
        return _run(desk)
    except Stop as stop:
        if stop.why is Why.WAITING:
            return Drive(Left.HELD if desk.held else Left.WAITING)
        # A memory that refuses a word again and again is a fault of ours: it has to be seen.
        level = logging.WARNING if stop.why is Why.MEMORY else logging.INFO
        LOG.log(level, "left %s: %s", desk.job.id, stop)
        return Drive(Left.DROPPED, stop.why)


def _run(desk: Desk) -> Drive:
    engine: SerialActionEngine

    def suspend() -> None:
        engine.suspend()

    flow = build(desk.job.flow, desk, suspend)
    detail = desk.record.detail(flow.name)
    engine = SerialActionEngine(
        flow, detail, RecordBackend(desk.record), {"gather_statistics": False}
    )
    try:
        engine.run()
    except (Failed, WrappedFailure):  # the second one: of a failure that an earlier drive saved
        LOG.debug("%s is undone", desk.job.id)
    state = engine.storage.get_flow_state()
    if state == states.SUSPENDED:
        return Drive(Left.WAITING)
    if state not in {states.SUCCESS, states.REVERTED}:
        message = f"the flow of {desk.job.id} ended as {state}"
        raise RuntimeError(message)
    desk.tell_end()
    desk.record.finish()
    return Drive(Left.ENDED)
