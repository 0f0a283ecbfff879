"""A model of one machine: pure, driven by the time that its questions bring.

It has what the fleet's safety rests on: runs in their order, the compare-and-set of `go`, the lock
of a run in progress, boot ids, uptimes, and the times at which it cannot be reached. Nothing in it
runs by itself: what happened up to now is worked out when somebody asks.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reroot_fleet.machine.seam import STALE_TICKET, Answer, Confirmation, Look, Order
from reroot_fleet.simulation.fate import End, Fate
from reroot_fleet.values.exit_status import ExitStatus
from reroot_fleet.values.machine_status import MachineStatus, Mode, Run, RunState

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_RAM = ("wipe", "unpack", "carry", "loader")
"""Steps that the RAM environment tells of."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take on a machine of pace 1, in seconds."""

    look: float = 0.5
    check: float = 5.0
    copy: float = 45.0
    rehearse: float = 240.0
    old_os: float = 60.0
    """From `go` to the entry of the RAM environment."""
    ram: float = 90.0
    boot: float = 40.0
    confirm: float = 20.0
    deadlines: int = 3600
    """The sum that its plan tells."""


BRISK = Pace(look=0.2, check=1, copy=2, rehearse=10, old_os=6, ram=8, boot=6, confirm=4)
"""Machines for tests: half a minute each."""


@dataclass(slots=True)
class Went:
    """A run that was begun."""

    id: str
    mode: Mode
    begun: float
    end: End
    gone: float
    """When the old OS is left."""
    back: float | None
    """When something answers again; never."""
    over: float
    """When its state does not change any more."""
    ram: float | None = None
    """Until when the RAM environment answers, where it lets in; for ever where it holds. Not at all: none."""
    held: float | None = None
    """From when on it holds there."""

    @property
    def ends_in_ram(self) -> float:
        """The end of what the RAM environment tells."""
        return self.gone if self.ram is None else self.ram


@dataclass(slots=True)
class Model:
    """One machine. All times are seconds since the simulation's beginning."""

    name: str
    fate: Fate
    pace: Pace = field(default_factory=Pace)
    image: str | None = None
    """Digest of the image that is in place."""
    runs: list[Went] = field(default_factory=list)
    accepted: list[tuple[float, str]] = field(default_factory=list)
    """Every `go` that began a run: what must never be more than one a job."""
    hooks: list[str] = field(default_factory=list)
    """Hooks that were called for it."""
    rehearsal_comes_back: bool = True
    asked: int = 0
    gos: int = 0
    """How often `go` was said at all."""

    # -- what it looks like -------------------------------------------------------------------

    def reachable(self, now: float) -> bool:
        """Whether an ssh server answers."""
        return all(now < r.gone or (r.back is not None and now >= r.back) for r in self.runs)

    def in_ram(self, now: float) -> Went | None:
        """The run that goes on in the RAM environment, where that lets in."""
        return next((r for r in self.runs if r.gone <= now < r.ends_in_ram), None)

    def boot(self, now: float) -> tuple[str, float]:
        """The id of the boot, and its uptime."""
        boots = [r.back for r in self.runs if r.back is not None and r.gone < r.back <= now]
        began = boots[-1] if boots else -86400.0
        name = f"{self.name}/{len(boots)}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}", now - began

    def status(self, now: float) -> MachineStatus:
        """What `status --json` says."""
        runs = tuple(Run(r.id, _state(r, now), r.mode) for r in self.runs)
        return MachineStatus(runs, boot=self.boot(now)[0])

    def look(self, image: str, now: float) -> Look:
        """Boot, uptime, runs, and whether the image is there; of RAM, what its run says of itself."""
        there = self.in_ram(now)
        if there is not None:
            return Look(f"ram of {there.id}", 0.0, _told_in_ram(there, now), image_there=False)
        boot, uptime = self.boot(now)
        return Look(boot, uptime, self.status(now), image_there=self.image == image)

    def flakes(self) -> bool:
        """Whether this question fails on its way; each one is another throw."""
        self.asked += 1
        if not self.fate.flake:
            return False
        dice = random.Random(f"{self.fate.seed}/{self.asked}")  # noqa: S311 - it has to repeat
        return dice.random() < self.fate.flake

    # -- what changes it ----------------------------------------------------------------------

    def put(self, image: str) -> None:
        """A copy was renamed into its place."""
        self.image = image

    def consent(self, order_wishes: Mapping[str, object]) -> str:
        """The digest of what its plan comes to."""
        text = f"{self.name} {sorted((k, str(v)) for k, v in order_wishes.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def begin(self, order: Order, mode: Mode, consent: str, now: float) -> Answer:
        """`go` or `rehearse`: the compare-and-set."""
        self.gos += mode is Mode.REINSTALL
        boot, uptime = self.boot(now)
        if order.ticket.boot != boot or uptime > order.ticket.best_before_s:
            return Answer(STALE_TICKET, "the ticket is past its best; nothing was done")
        if self.image != order.wishes.image:
            return Answer(ExitStatus.USAGE, "the image is not there")
        if any(r.id == order.run for r in self.runs):
            return Answer(ExitStatus.DONE, f"attached to {order.run}")
        newest = self.runs[-1] if self.runs else None
        if (newest.id if newest else None) != order.after:
            return Answer(ExitStatus.FENCED, f"the newest run is {newest.id if newest else 'none'}")
        if newest is not None and _state(newest, now) is RunState.IN_PROGRESS:
            return Answer(ExitStatus.REFUSED, "a run is in progress")
        if order.consent is not None and order.consent != consent:
            return Answer(ExitStatus.OTHER_CONSENT, f"the plan's digest is {consent}")
        if self.fate.refuses and self.fate.refuses not in order.wishes.force:
            return Answer(ExitStatus.REFUSED, f"refused by the check {self.fate.refuses}")
        self._begin(order.run, mode, now)
        return Answer(ExitStatus.DONE, f"begun {order.run}")

    def _begin(self, run: str, mode: Mode, now: float) -> None:
        p, f = self.pace, self.fate.pace
        if mode is Mode.REHEARSE:
            came, gone = now + p.rehearse * f, now + p.old_os * f
            ram = came - p.boot * f if self.fate.ram_ssh else None
            went = Went(run, mode, now, End.DONE, gone, came, came, ram)
            if not self.rehearsal_comes_back:
                went.back = None
                if self.fate.ram_ssh:
                    went.ram, went.held = math.inf, gone
            self.runs.append(went)
            return
        self.accepted.append((now, run))
        reinstalls = sum(r.mode is Mode.REINSTALL for r in self.runs)
        end = self.fate.end(reinstalls)
        gone = now + p.old_os * f
        new = gone + (p.ram + p.boot) * f
        back: float | None = new
        if end is End.REVERTED:
            back = gone  # the old OS never goes away
        elif end is End.OLD_OS_BACK:
            back = gone + (p.ram / 3 + p.boot) * f
        elif end in {End.HELD, End.SILENT}:
            back = None
        over = new if back is None else back
        ram, held = None, None
        if self.fate.ram_ssh and end not in {End.REVERTED, End.SILENT}:
            ram = over - p.boot * f
            if end is End.HELD:
                ram, held = math.inf, gone + p.ram * f / 2
        self.runs.append(Went(run, mode, now, end, gone, back, over, ram, held))

    def confirm(self, run: str, now: float) -> Confirmation:
        """What the first boot found."""
        went = next((r for r in self.runs if r.id == run), None)
        if went is None or now < went.over + self.pace.confirm * self.fate.pace:
            return Confirmation(known=False)
        if went.end is End.UNCONFIRMED:
            return Confirmation(known=True, passed=False, failing=("services",))
        return Confirmation(known=True, passed=went.end is End.DONE)


_ENDS: dict[End, RunState] = {
    End.DONE: RunState.DONE,
    End.UNCONFIRMED: RunState.DONE,
    End.REVERTED: RunState.REVERTED,
    End.OLD_OS_BACK: RunState.INTERRUPTED,
    End.COMMITTED: RunState.COMMITTED,
    End.HELD: RunState.COMMITTED,
    End.SILENT: RunState.UNKNOWN,
}


def _told_in_ram(run: Went, now: float) -> MachineStatus:
    """What the RAM environment says: of its own run alone, and nothing of others."""
    holds = run.held is not None and now >= run.held
    lasts = min(run.ends_in_ram, run.over) - run.gone
    share = min((now - run.gone) / max(lasts, 1.0), 0.99)
    step = IN_RAM[int(share * len(IN_RAM))]
    told = Run(
        run.id,
        RunState.COMMITTED if holds else RunState.IN_PROGRESS,
        run.mode,
        reached=step,
        percent=None if holds else 10 * int(10 * (share * len(IN_RAM) % 1)),
        first_failure=f"{step}: simulated" if holds else None,
        next="it holds: simulated; log in" if holds else "",
    )
    goes_on = None if holds else run.id
    return MachineStatus(
        (told,), boot=f"ram of {run.id}", in_progress=goes_on, newest_id=run.id, in_ram=True
    )


def _state(run: Went, now: float) -> RunState:
    if now < run.over:
        return RunState.IN_PROGRESS
    if run.mode is Mode.REHEARSE:
        return RunState.REHEARSED
    return _ENDS[run.end]
