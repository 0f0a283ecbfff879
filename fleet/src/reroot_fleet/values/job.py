"""One machine's turn: a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reroot_fleet.values.atoms import Atom


class JobState(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    """In the memory only; the planner has not let it go yet."""
    POSTED = "posted"
    """On the board."""
    RUNNING = "running"
    """Claimed by a conductor; its step says how far it is."""
    DONE = "done"
    """The new OS is in place and confirmed."""
    REVERTED = "reverted"
    """The old OS is as it was; may be queued again."""
    REFUSED = "refused"
    """A check said no; nothing was changed."""
    HELD = "held"
    """Behind the commit point, or silent past its deadlines: a person is needed."""
    WITHDRAWN = "withdrawn"
    """Taken back by a halt or by an operator before `go`."""
    RESTORED = "restored"
    """Put back from a backup, by the hook or by a person: the alternative outcome."""

    @property
    def active(self) -> bool:
        """Whether it uses a place: it may act on its machine."""
        return self in {JobState.POSTED, JobState.RUNNING}

    @property
    def ended(self) -> bool:
        """Whether the flow does nothing more for it."""
        return self not in {JobState.QUEUED, JobState.POSTED, JobState.RUNNING}

    @property
    def failed(self) -> bool:
        """Whether it counts against the failure budget."""
        return self in {JobState.REVERTED, JobState.HELD, JobState.RESTORED}

    @property
    def may_be_requeued(self) -> bool:
        """Whether the machine is in an OS that `go` may be said in again."""
        return self in {
            JobState.REVERTED,
            JobState.REFUSED,
            JobState.WITHDRAWN,
            JobState.RESTORED,
        }


@dataclass(frozen=True, slots=True)
class Override:
    """A special case: what this one job does differently, with who approved it and why."""

    who: str
    why: str
    entry: str | None = None
    """`auto`, `kexec`, `takeover` or `boot`."""
    keep: tuple[str, ...] = ()
    """Paths kept besides the image's own."""
    image: str | None = None
    """Digest of another image."""
    force: tuple[str, ...] = ()
    """Codes of checks whose refusal was read and accepted."""
    rehearse: bool = False
    """Rehearsed before `go`, where the policy leaves that open."""


@dataclass(frozen=True, slots=True)
class Job:
    """A machine's turn in a night. Everything in it is a fold of the job's events."""

    id: str
    night: str
    host: str
    image: str
    """Digest of the image."""
    attempt: int = 1
    wave: int | None = None
    """0 for canaries, from 1 for the ramp; set when it is posted."""
    override: Override | None = None
    flow: str = "1"
    """The version of the flow that it began with and keeps."""
    state: JobState = JobState.QUEUED
    step: Atom | None = None
    """The step that was begun last."""
    since: datetime | None = None
    """When it came into its state."""
    posted_at: datetime | None = None
    go_at: datetime | None = None
    """When the intent to say `go` was recorded; from then on no stop reaches it."""
    ended_at: datetime | None = None
    deadline: datetime | None = None
    """By when it must have ended, by its plan's deadlines; later counts as failed."""
    deadlines_s: int | None = None
    """The sum of its plan's deadlines, in seconds, where its plan is known."""
    run: str | None = None
    """The id of its run on the machine."""
    consent: str | None = None
    """The digest of what was consented to."""
    cause: str | None = None
    """Why it failed or was refused, in one line."""
    conductor: str | None = None
    """Who claimed it."""
    machine_class: str = ""
    """The key of its machine's class when it was queued: a reinstalled machine is of another."""

    @property
    def image_wanted(self) -> str:
        """Digest of the image that it is reinstalled with: a special case may have another."""
        return (self.override.image if self.override else None) or self.image

    @property
    def begun_go(self) -> bool:
        """Whether `go` may have been said: from the recorded intent on."""
        return self.go_at is not None


def job_id(night: str, host: str, attempt: int) -> str:
    """The id of a job: the same job is never made twice, whoever makes it."""
    return f"{night}/{host}/{attempt}"
