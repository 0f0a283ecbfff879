"""What the fleet asks of a machine: the seam between flows and ssh, or a model of a machine.

Nothing here decides. Every question may be asked twice; of what changes the machine, `go` and
`rehearse` are fenced by the machine itself and `copy` is a file put in place whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reroot_fleet.values.exit_status import ExitStatus

if TYPE_CHECKING:
    from pathlib import Path

    from reroot_fleet.values.findings import Finding
    from reroot_fleet.values.host import Host
    from reroot_fleet.values.machine_plan import MachinePlan
    from reroot_fleet.values.machine_status import MachineStatus


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A `.reroot` file, as the conductors have it."""

    digest: str
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a job asks of the `.reroot` file besides its defaults."""

    image: str
    """Digest of the image."""
    entry: str | None = None
    keep: tuple[str, ...] = ()
    force: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a machine says about itself without changing anything."""

    boot: str
    """The kernel's id of this boot."""
    uptime_s: float
    """Since that boot, by the machine's own clock that nobody sets."""
    status: MachineStatus
    image_there: bool
    """The image of the wished digest is in place."""
    busy: bool = False
    """The image is being executed: a `go` may be on its way that has not made its run yet."""

    @property
    def in_ram(self) -> bool:
        """The RAM environment answers, and no OS: nothing but its run's status can be asked of it."""
        return self.status.in_ram


@dataclass(frozen=True, slots=True)
class Ticket:
    """A `go` is good in one boot and for a short time by that boot's own clock.

    It ends a race that no claim can: a conductor that stood still between its last question and
    the command would otherwise say `go` whenever it wakes, on a machine that was taken out of the
    night long ago. Neither clock that is compared is the conductor's.
    """

    boot: str
    best_before_s: float
    """Uptime of that boot behind which the machine does not obey any more."""


@dataclass(frozen=True, slots=True)
class Order:
    """A `go` or a `rehearse`, with everything that makes it safe to say twice."""

    run: str
    """The id that the run gets: starting one that exists attaches to it."""
    after: str | None
    """The newest run on the machine, or none: on any other the machine refuses."""
    consent: str | None
    """The digest of what was consented to."""
    wishes: Wishes
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command on the machine ended."""

    exit_status: int
    text: str = ""

    @property
    def begun(self) -> bool:
        """Whether the run exists on the machine."""
        return self.exit_status == ExitStatus.DONE

    @property
    def last_line(self) -> str:
        """The line that says why: by what it was refused, else what it said last."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        # Behind a refusal come what mends it, and notes with remedies of their own.
        refused = [line for line in lines if line.startswith(REFUSED)]
        return (refused[:1] or lines[-1:] or ["it said nothing"])[0][:300]


REFUSED = ("refused by ", "refused: ")
"""How the image begins the line that says what refuses."""
STALE_TICKET = 75
"""A ticket was past its best: the machine did nothing (EX_TEMPFAIL)."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The first boot's own comparison with the plan."""

    known: bool
    """The first boot has written it."""
    passed: bool = False
    failing: tuple[str, ...] = ()


class Machine(Protocol):
    """A host, and what can be asked of it. Faults are raised as `MachineFault`."""

    @property
    def host(self) -> Host:
        """Which one."""

    def greet(self) -> None:
        """Returns where its ssh server says its banner; much cheaper than a session."""

    def look(self, image: str) -> Look:
        """Boot, uptime, runs, and whether the image is there; the RAM environment tells of its run."""

    def check(self, wishes: Wishes) -> tuple[Finding, ...]:
        """Asks its checks."""

    def plan(self, wishes: Wishes) -> MachinePlan:
        """Asks what would be done."""

    def copy(self, image: ImageFile, kib_per_s: int | None) -> None:
        """Puts the image in place: partial first, digest compared there, renamed whole."""

    def rehearse(self, order: Order) -> Answer:
        """Begins a rehearsal."""

    def go(self, order: Order) -> Answer:
        """Begins the run, or attaches to the run of that id."""

    def confirm(self, run: str) -> Confirmation:
        """What the first boot of the new OS found."""

    def clear(self, image: str) -> None:
        """Removes the fleet's own file again."""


class Hooks(Protocol):
    """The operator's programs, run on the conductor's host with the machine's name."""

    def call(self, name: str, host: str) -> Answer | None:
        """Runs one; nothing where the policy names none."""
