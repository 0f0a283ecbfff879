"""The flow of a machine's turn, in TaskFlow's words, by version.

Each atom stands in a flow of its own with a retry controller (`Patient`), so that its failures are
its own; those flows stand in a line. A job keeps the version that it began with: a change of the
atoms, their order or their names is a new entry in `VERSIONS`, and the old one stays as long as a
memory may have a job of it.

To put a flow together and to compile it takes longer than to go through it. So both are done once, and
the flow is handed from drive to drive: its atoms keep nothing, and reach the desk by their `Hand`.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskflow import retry, task
from taskflow.engines.action_engine.compiler import PatternCompiler
from taskflow.patterns import linear_flow

from reroot_fleet.flow.outcome import Again, End, Hold, NotYet
from reroot_fleet.flow.patience import InVain
from reroot_fleet.flow.steps import NOTED, STEPS, UNDO
from reroot_fleet.flow.stop import Stop, Why
from reroot_fleet.machine.faults import MachineFault
from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reroot_fleet.flow.desk import Desk

LOG = logging.getLogger(__name__)


class Failed(Exception):  # noqa: N818 - TaskFlow's word is failure
    """What TaskFlow is told: that the step did not come to its end. The desk knows the rest."""


@dataclass(slots=True)
class Hand:
    """Who goes through a flow: one drive at a time."""

    at: Desk | None = None
    suspend: Callable[[], None] = lambda: None

    @property
    def desk(self) -> Desk:
        """The desk of the drive."""
        assert self.at is not None  # noqa: S101 - an atom is asked in a drive only
        return self.at


class Step(task.Task):  # type: ignore[misc]  # TaskFlow has no types
    """An atom."""

    def __init__(self, atom: Atom, hand: Hand) -> None:
        super().__init__(name=str(atom))
        self._atom = atom
        self._hand = hand

    def execute(self) -> None:
        """Does the step; what it raises is sorted into waits, tries, ends and holds."""
        failure = self._do()
        if failure is not None:
            # Outside of every handler: TaskFlow walks an exception's causes, and knows no `Stop`.
            raise Failed(failure)

    def _do(self) -> str | None:
        """Why it failed, where it did."""
        desk, atom = self._hand.desk, self._atom
        desk.may_go_on()
        if desk.ending is not None:
            # It was decided, and then the conductor ended: it is not done again.
            return str(desk.ending["cause"])
        begun = time.monotonic()
        try:
            desk.begin(atom, NOTED.get(atom))
            STEPS[atom](desk)
            seconds = round(time.monotonic() - begun, 1)
            desk.later(What.STEP_DONE, {"step": str(atom), "seconds": seconds})
            desk.tries = 0
        except NotYet as wait:
            desk.wait_for(wait.until, wait.watch)
            raise Stop(Why.WAITING) from wait
        except End as end:
            desk.end(end)
            return end.cause
        except Hold as hold:
            self._hold(hold.cause)
        except Exception as error:  # noqa: BLE001 - it is told, and tried again
            return self._failed(error)
        return None

    def _failed(self, error: Exception) -> str | None:
        desk, atom = self._hand.desk, self._atom
        if not isinstance(error, Again | MachineFault | Problem):
            LOG.error("step %s of %s failed as it should not", atom, desk.job.id, exc_info=error)
        text = str(error) or type(error).__name__
        if isinstance(error, MachineFault) and not error.passing and atom.before_go:
            desk.end(End(JobState.REFUSED, text, (str(error.kind),)))
            return text
        try:
            in_vain = desk.failed(atom, text)
        except End as end:
            desk.end(end)
            return end.cause
        if in_vain is InVain.GO_ON:
            return None
        if in_vain is InVain.REVERT:
            desk.end(End(JobState.REVERTED, f"{atom}: {text}"))
        elif in_vain is InVain.HOLD:
            self._hold(f"{atom}: {text}")
        return text

    def _hold(self, cause: str) -> None:
        try:
            self._hand.desk.hold(self._atom, cause)
        except End as end:
            # A person ended it at this very moment: it is undone instead, when it is taken up again.
            LOG.info("%s: %s", self._desk.job.id, end)
        raise Stop(Why.WAITING)

    def revert(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - TaskFlow's
        """Undoes it, if the job ends; before another try nothing is undone."""
        desk, atom = self._hand.desk, self._atom
        if desk.ending is None or atom not in UNDO:
            return
        desk.may_go_on()
        try:
            UNDO[atom](desk)
            desk.tell(What.STEP_REVERTED, {"step": str(atom)})
            desk.tries = 0
        except NotYet as wait:
            desk.wait_for(wait.until, wait.watch)
            raise Stop(Why.WAITING) from wait
        except Hold as hold:
            self._hold(hold.cause)
        except Exception as error:
            if not isinstance(error, Again | MachineFault):
                LOG.exception("a step was not undone: %s of %s", atom, desk.job.id)
            if desk.failed(atom, f"undo {atom}: {error}") is not None:
                self._hold(f"{atom} could not be undone: {error}")
            raise Stop(Why.WAITING) from error


class Patient(retry.Retry):  # type: ignore[misc]  # TaskFlow has no types
    """Decides on failures by what the desk has written down.

    No stock controller has a pause: this one suspends the engine, and the conductor resumes it when
    the memory's `again_at` has come.
    """

    def __init__(self, atom: Atom, hand: Hand) -> None:
        super().__init__(name=f"{atom} patience")
        self._hand = hand

    def execute(self, history: Any, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - TaskFlow's
        """Nothing is tried differently the second time."""
        del history

    def on_failure(self, history: Any, *_args: Any, **_kwargs: Any) -> str:  # noqa: ANN401 - TaskFlow's
        """All of the flow is undone, or the step is tried again later."""
        del history
        desk = self._hand.desk
        if desk.ending is not None:
            return str(retry.Decision.REVERT_ALL.value)
        # A resumed engine asks again about the failure that it was suspended with: then its pause
        # is over, and nothing is left to wait for.
        if desk.wait is not None:
            self._hand.suspend()
        return str(retry.Decision.RETRY.value)


def line(atoms: tuple[Atom, ...], hand: Hand) -> linear_flow.Flow:
    """Those atoms in a line, each in a flow of its own."""
    whole = linear_flow.Flow("turn")
    for atom in atoms:
        own = linear_flow.Flow(f"{atom} with patience", retry=Patient(atom, hand))
        whole.add(own.add(Step(atom, hand)))
    return whole


VERSIONS: dict[str, tuple[Atom, ...]] = {"1": ORDER}
"""Which atoms a flow of that version has."""
NEWEST = "1"


class Compiled:
    """A flow of a version, with TaskFlow's compilation of it."""

    def __init__(self, version: str) -> None:
        self.hand = Hand()
        self.flow = line(VERSIONS[version], self.hand)
        self.compiler = PatternCompiler(self.flow)


_AT_REST: dict[str, list[Compiled]] = {}
"""Flows that nobody goes through just now, by version: as many as there were drives at once."""


@contextmanager
def compiled(version: str, desk: Desk) -> Iterator[Compiled]:
    """A flow of a version, for one drive."""
    if version not in VERSIONS:
        raise Problem(
            f"run the job {desk.job.id}",
            f"its flow is of version {version}, and this release knows {', '.join(VERSIONS)}",
            intact="the job waits on the board",
            then="let a conductor of the release that began it, or of a later one, take it",
        )
    at_rest = _AT_REST.setdefault(version, [])
    try:
        found = at_rest.pop()
    except IndexError:
        found = Compiled(version)
    found.hand.at = desk
    try:
        yield found
    finally:
        found.hand.at, found.hand.suspend = None, lambda: None
        at_rest.append(found)
