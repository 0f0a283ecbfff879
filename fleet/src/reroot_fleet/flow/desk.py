"""Where a step works: the job, its machine, and the one way to write anything down.

Every write asks the lease first, locks the flow's record if it is still this claim's, moves the job
with its events, and keeps the notes and what the engine has saved, in one transaction. So a conductor
that has lost a job can neither write its events nor its flow, and what is written is whole.

What a step has come to (`later`) is written with the next word, which is that the next step begins: at
the same moment, and in one transaction instead of four. A conductor that dies before it has not said it,
and whoever takes the job over does the step again, as if it had died a moment earlier.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reroot_fleet.flow.outcome import End, NotYet, Wait, Watch
from reroot_fleet.flow.patience import PATIENCE, InVain, pause
from reroot_fleet.flow.records import told
from reroot_fleet.flow.stop import Stop, Why
from reroot_fleet.machine.seam import ImageFile, Wishes
from reroot_fleet.memory import jobs, nights
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.policy import before_go, fold
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.board.lease import Lease
    from reroot_fleet.flow.copies import Copies
    from reroot_fleet.flow.records import FlowRecord
    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.machine.seam import Hooks, Machine
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.atoms import Atom
    from reroot_fleet.values.night import Night

LOG = logging.getLogger(__name__)

TICKET_S = 120.0
"""For how long after the machine was looked at a `go` is good, by its own uptime."""
PAUSED = timedelta(seconds=60)
"""How long a job waits that stands before `go` in a night that is paused."""

_ENDS: dict[JobState, What] = {
    JobState.REVERTED: What.JOB_REVERTED,
    JobState.REFUSED: What.JOB_REFUSED,
    JobState.WITHDRAWN: What.JOB_WITHDRAWN,
}


@dataclass(slots=True)
class Seams:
    """What the steps of one job reach out to."""

    memory: Memory
    clock: Clock
    who: str
    """The conductor's name."""
    machine: Machine
    hooks: Hooks
    image: ImageFile
    copies: Copies
    leaving: threading.Event
    """The conductor ends: every flow is left before its next step."""
    ticket_s: float = TICKET_S


@dataclass(slots=True)
class Desk:
    """One claim's work on one job."""

    seams: Seams
    job: Job
    night: Night
    record: FlowRecord
    lease: Lease
    wait: Wait | None = None
    """What the flow waits for, where it was left to wait."""
    dice: random.Random = field(default_factory=random.Random)
    tries: int = 0
    begun: Atom | None = None
    unsaid: list[Event] = field(default_factory=list)
    """What happened, and is written with the next word."""

    # -- what a step asks ---------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """The job's machine."""
        return self.seams.machine

    @property
    def now(self) -> datetime:
        """The time of day."""
        return self.seams.clock.now()

    @property
    def notes(self) -> dict[str, Any]:
        """What the steps have to remember; a copy of it is kept by `tell`."""
        return self.record.notes

    @property
    def wishes(self) -> Wishes:
        """What the job asks of the image."""
        o = self.job.override
        if o is None:
            return Wishes(self.job.image)
        return Wishes(o.image or self.job.image, o.entry, o.keep, o.force)

    @property
    def ending(self) -> dict[str, Any] | None:
        """How the job ends, once that is decided."""
        found: dict[str, Any] | None = self.notes.get("ending")
        return found

    @property
    def held(self) -> bool:
        """A person is needed."""
        return self.job.state is JobState.HELD

    def may_go_on(self) -> None:
        """Leaves the flow where the claim may not be believed in any more."""
        if self.seams.leaving.is_set():
            raise Stop(Why.ENDING, self.job.id)
        self._may_write()

    def _may_write(self) -> None:
        if not self.lease.holds(self.seams.clock.monotonic()):
            raise Stop(Why.CLAIM, self.job.id)

    # -- what a step writes -------------------------------------------------------------------

    def tell(
        self,
        what: What,
        detail: dict[str, Any] | None = None,
        *,
        notes: dict[str, Any] | None = None,
    ) -> None:
        """Writes an event of the job down, with notes; `End` where others have moved the job."""
        self.may_go_on()
        self._write((self._event(what, detail or {}),), notes)

    def later(self, what: What, detail: dict[str, Any] | None = None) -> None:
        """Says what is written with the next word: of what happened, and moves the job nowhere."""
        event = self._event(what, detail or {})
        after = fold.apply(self.job, event)
        assert after is None or after.state is self.job.state  # noqa: S101 - a fault of ours
        self.job = after or self.job
        self.unsaid.append(event)

    def flush(self) -> None:
        """Writes what is to be written yet: the flow is left."""
        if self.unsaid or self.record.unwritten:
            self._may_write()
            self._write()

    def finish(self) -> None:
        """The flow is over: the last words, and that nothing is to be done any more."""
        self._may_write()
        self._write(over=True)

    def _write(
        self,
        told: tuple[Event, ...] = (),
        notes: dict[str, Any] | None = None,
        *,
        over: bool = False,
        first: Callable[[Connection], None] | None = None,
    ) -> None:
        # A job that was withdrawn under us is undone all the same, and that is told too.
        # And what this claim has ended itself has its last steps told.
        free = self.ending is not None or self.job.state.ended
        expect = jobs.Expected() if free else jobs.Expected(states=(JobState.RUNNING,))
        events, job = (*self.unsaid, *told), self.job
        try:
            with self.record.writing(notes, over=over, first=first) as connection:
                if events:
                    job = jobs.record_all(connection, events, expect=expect)
        except Stop as stop:
            if isinstance(stop.__cause__, Conflict):
                self._moved_by_others()
            raise
        self.job = job
        self.unsaid.clear()

    def intend(
        self,
        may: Callable[[Night], before_go.Answer],
        notes: dict[str, Any],
        detail: dict[str, Any],
    ) -> None:
        """Writes the intent to say `go` down, in the transaction that looks at the night.

        A halt is either before it, and then no `go` is said, or behind it, and then whoever halts
        sees it.
        """
        self.may_go_on()

        def night_lets_it(connection: Connection) -> None:
            # The night first, then the job: in the order in which a halt takes them.
            self._require(may, nights.get(connection, self.job.night, lock=True))

        self._write((self._event(What.GO_INTENDED, detail),), notes, first=night_lets_it)

    def _require(self, may: Callable[[Night], before_go.Answer], night: Night | None) -> None:
        if night is None:
            raise End(JobState.WITHDRAWN, f"the night {self.job.night} is gone")
        answer = may(night)
        if answer.may is before_go.May.WAIT:
            raise NotYet(self.now + PAUSED)
        if answer.may is before_go.May.WITHDRAW:
            raise End(JobState.WITHDRAWN, answer.why)

    def note(self, **notes: Any) -> None:  # noqa: ANN401 - JSON
        """Keeps something without an event."""
        self.may_go_on()
        self._write(notes={**self.notes, **notes})

    def _event(self, what: What, detail: dict[str, Any]) -> Event:
        who = f"conductor {self.seams.who}"
        job = self.job
        return Event(self.now, who, what, job.night, job.host, job.id, detail=detail)

    def _moved_by_others(self) -> None:
        """The job was ended by a halt or a person: that is how it ends here too."""
        with told(), self.seams.memory.read() as connection:
            job = jobs.get(connection, self.job.id)
        if job is None or job.state not in _ENDS:
            return
        self.job = job
        self.note(ending={"state": str(job.state), "cause": job.cause or "", "told": True})
        raise End(job.state, job.cause or "ended by somebody else")

    def begin(self, atom: Atom, notes: dict[str, Any] | None = None) -> None:
        """Writes down that a step begins, once for each claim, and for each try; with notes."""
        if self.begun is not atom or self.tries:
            merged = {**self.notes, **notes} if notes else None
            detail = {"step": str(atom), "try": self.tries + 1}
            self.tell(What.STEP_BEGUN, detail, notes=merged)
            self.begun = atom

    # -- how a step ends ----------------------------------------------------------------------

    def wait_for(self, until: datetime, watch: Watch) -> None:
        """The flow is left to wait; this is no try."""
        self.wait = Wait(until, watch)

    def end(self, end: End) -> None:
        """It is decided how the job ends; told when everything is undone."""
        self.tries = 0  # what is undone has its own
        if self.ending is not None:
            return
        try:
            self.note(ending={"state": str(end.state), "cause": end.cause, "codes": end.codes})
        except End:
            LOG.info("%s was ended by others at this very moment", self.job.id)

    def hold(self, atom: Atom, cause: str) -> None:
        """A person is needed."""
        self.tell(What.JOB_HELD, {"cause": cause}, notes={**self.notes, "held": str(atom)})

    def failed(self, atom: Atom, error: str) -> InVain | None:
        """A try failed: what comes then, or nothing, and then the flow is left to wait."""
        self.tries += 1
        length = pause(atom, self.tries, self.dice)
        again_at = None if length is None else self.now + length
        detail: dict[str, Any] = {"step": str(atom), "try": self.tries, "error": error}
        if again_at is not None:
            detail["again_at"] = again_at.isoformat()
        self.tell(What.STEP_FAILED, detail)
        if again_at is not None:
            self.wait = Wait(again_at)
            return None
        return PATIENCE[atom].in_vain

    def tell_end(self) -> None:
        """Everything is undone: how it ended."""
        ending = self.ending
        if ending is None or ending.get("told") or self.job.state.ended:
            return
        state = JobState(ending["state"])
        if state is JobState.WITHDRAWN and self.job.begun_go:
            # Its `go` was intended, and is known now never to have begun anything. The log has no
            # withdrawal behind an intent: what it may not say of others it does not say of this one.
            state = JobState.REVERTED
        detail: dict[str, Any] = {"cause": ending["cause"]}
        if state is JobState.REFUSED:
            detail["codes"] = ending.get("codes", [])
        self.tell(_ENDS[state], detail, notes={**self.notes, "ending": {**ending, "told": True}})
