"""Runs a job's flow until there is nothing to do for a thread: ended, held, waiting, or not ours."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from taskflow import states
from taskflow.engines.action_engine.engine import SerialActionEngine
from taskflow.exceptions import WrappedFailure

from reroot_fleet.flow.graph import Failed, compiled
from reroot_fleet.flow.records import RecordBackend
from reroot_fleet.flow.stop import Stop, Why

if TYPE_CHECKING:
    from reroot_fleet.flow.desk import Desk
    from reroot_fleet.flow.graph import Compiled
    from reroot_fleet.flow.records import FlowRecord

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


class Engine(SerialActionEngine):  # type: ignore[misc]  # TaskFlow has no types
    """TaskFlow's engine, on a flow that was compiled before."""

    def __init__(self, whole: Compiled, record: FlowRecord) -> None:
        detail = record.detail(whole.flow.name)
        options = {"gather_statistics": False}
        super().__init__(whole.flow, detail, RecordBackend(record), options)
        # It compiles once, and gives the same again.
        self._compiler = whole.compiler


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
    with compiled(desk.job.flow, desk) as whole:
        engine = Engine(whole, desk.record)
        whole.hand.suspend = engine.suspend
        try:
            engine.run()
        except (Failed, WrappedFailure):  # the second one: of a failure that an earlier drive saved
            LOG.debug("%s is undone", desk.job.id)
        except Stop as stop:
            if stop.why in {Why.WAITING, Why.ENDING}:
                desk.flush()
            raise
        state = engine.storage.get_flow_state()
    if state == states.SUSPENDED:
        desk.flush()
        return Drive(Left.WAITING)
    if state not in {states.SUCCESS, states.REVERTED}:
        message = f"the flow of {desk.job.id} ended as {state}"
        raise RuntimeError(message)
    desk.tell_end()
    desk.finish()
    return Drive(Left.ENDED)
