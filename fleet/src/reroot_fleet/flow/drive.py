"""Runs a job's flow until there is nothing to do for a thread: ended, held, waiting, or not ours."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from taskflow import states
from taskflow.engines.action_engine.engine import SerialActionEngine
from taskflow.exceptions import WrappedFailure
from taskflow.storage import Storage

from reroot_fleet.flow.graph import Failed, compiled
from reroot_fleet.flow.records import RecordBackend
from reroot_fleet.flow.stop import Stop, Why

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskflow.persistence.models import AtomDetail, FlowDetail

    from reroot_fleet.flow.desk import Desk
    from reroot_fleet.flow.graph import Compiled
    from reroot_fleet.flow.records import FlowRecord, RecordConnection

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


class Alone:
    """What stands for a lock where there is nobody else: a storage is one drive's, and that is one thread."""

    @staticmethod
    def read_lock() -> AbstractContextManager[None]:
        """Nothing to wait for."""
        return nullcontext()

    write_lock = read_lock


class RecordStorage(Storage):  # type: ignore[misc]  # as below
    """TaskFlow's storage without what it does for storages of many threads, and for backends that fail.

    An engine asks it a hundred times a step: locks and retries were a third of all that a drive cost.
    """

    def __init__(
        self, detail: FlowDetail, record: FlowRecord, scopes: Callable[[str], object]
    ) -> None:
        super().__init__(detail, RecordBackend(record), scopes)
        self._lock = Alone()

    def _save_flow_detail(self, conn: RecordConnection, kept: FlowDetail, new: FlowDetail) -> Any:  # noqa: ANN401 - TaskFlow's
        return kept.update(conn.update_flow_details(new))

    def _save_atom_detail(self, conn: RecordConnection, kept: AtomDetail, new: AtomDetail) -> Any:  # noqa: ANN401 - TaskFlow's
        return kept.update(conn.update_atom_details(new))


def _without_locks() -> None:
    """Takes the locks off: each of TaskFlow's methods is wrapped in one, and knows what is in it."""
    for name, method in vars(Storage).items():
        locked = getattr(method, "__code__", None)
        if locked is not None and locked.co_filename.endswith("fasteners/lock.py"):
            setattr(RecordStorage, name, method.__wrapped__)


_without_locks()


class Engine(SerialActionEngine):  # type: ignore[misc]  # TaskFlow has no types
    """TaskFlow's engine, on a flow that was compiled before."""

    def __init__(self, whole: Compiled, record: FlowRecord) -> None:
        super().__init__(whole.flow, None, None, {"gather_statistics": False})
        # It compiles once, and gives the same again.
        self._compiler = whole.compiler
        self._own = RecordStorage(record.detail(whole.flow.name), record, self._scopes)

    def _scopes(self, atom: str) -> Any:  # noqa: ANN401 - TaskFlow's
        return self._runtime.fetch_scopes_for(atom) if self._compiled else None

    @property
    def storage(self) -> RecordStorage:
        """What it saves into."""
        return self._own


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
