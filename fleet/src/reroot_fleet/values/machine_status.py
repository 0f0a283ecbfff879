"""What `status --json` says of a machine's runs (`reroot-status`, version 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reroot_fleet.values.document import Fields, read


class RunState(StrEnum):
    """How a run stands, in the machine's words."""

    IN_PROGRESS = "in-progress"
    DONE = "done"
    REHEARSED = "rehearsed"
    REHEARSED_WITH_FINDINGS = "rehearsed-with-findings"
    REVERTED = "reverted"
    INTERRUPTED = "interrupted"
    """Ended without a word before the commit point: the old OS is as it was."""
    COMMITTED = "committed"
    """Behind the commit point and not done."""
    UNKNOWN = "unknown"


class Mode(StrEnum):
    """What a run is for."""

    REINSTALL = "reinstall"
    REHEARSE = "rehearse"


class Confirmation(StrEnum):
    """What the first boot says."""

    NONE = "none"
    """There is nothing to say: the run is not done, or is a rehearsal."""
    PENDING = "pending"
    PASSED = "passed"
    FELL_SHORT = "fell-short"
    FAILED = "failed"
    """The comparison could not be made."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run on a machine."""

    id: str
    state: RunState
    mode: Mode | None = None
    journal: str | None = None
    """The journal's last phase: `commit`, `wipe`, `unpack`, `carry`, `loader`, `done`."""
    reached: str | None = None
    """The step that was begun last."""
    first_failure: str | None = None
    """`STEP: ERROR`."""
    intact: str = ""
    next: str = ""
    confirmation: Confirmation = Confirmation.NONE
    fell_short: tuple[str, ...] = ()
    """In what the first boot falls short of the plan."""
    stopping: bool = False
    """Services are being stopped: the machine will be silent now."""
    consent: str | None = None
    begun_in: str | None = None
    """The id of the boot in which it was begun."""
    percent: int | None = None
    """How far the step is, by an estimate; the RAM environment says it."""

    @property
    def behind_commit_point(self) -> bool:
        """Whether the old OS may not be whole any more."""
        return self.state is RunState.COMMITTED


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """All runs of a machine, the newest last."""

    runs: tuple[Run, ...] = ()
    kexec_loaded: bool = False
    boot: str | None = None
    """The kernel's id of this boot, where the machine tells it."""
    in_progress: str | None = None
    """The run that holds the machine's lock; it may not be among `runs` yet."""
    newest_id: str | None = None
    """What `--after` has to name, where the machine says it."""
    hostname: str | None = None
    os: str | None = None
    """The OS that answers, for people."""
    in_ram: bool = False
    """No OS answers, but the RAM environment: what it says of its run is so at this moment."""

    @property
    def after(self) -> str | None:
        """What `--after` has to name; `None`: none."""
        return self.newest_id or (self.newest.id if self.newest else None)

    @property
    def newest(self) -> Run | None:
        """The newest run: what `--after` has to name."""
        return self.runs[-1] if self.runs else None

    def run(self, run_id: str) -> Run | None:
        """The run of that id."""
        return next((r for r in self.runs if r.id == run_id), None)


def parse_status(
    text: str | bytes, *, host: str | None = None, in_ram: bool = False
) -> MachineStatus:
    """Reads `status --json`; raises `Problem`."""
    f = Fields(read(text, "reroot-status", 1, host=host), "status", host=host)
    os = f.inner("os") if f.value.get("os") is not None else None
    return MachineStatus(
        runs=tuple(_run(r, host) for r in f.list("runs")),
        kexec_loaded=f.flag("kexec_loaded"),
        boot=f.text_or_none("boot_id"),
        in_progress=f.text_or_none("in_progress"),
        newest_id=f.text_or_none("newest"),
        hostname=f.text_or_none("hostname"),
        os=os.text_or_none("pretty_name") if os else None,
        in_ram=in_ram,
    )


def _run(value: object, host: str | None) -> Run:
    f = Fields(value, "status.runs[]", host=host)
    state, mode = f.text("state"), f.text_or_none("mode")
    confirmation = f.text_or_none("confirmation") or Confirmation.NONE
    failure = f.inner("first_failure") if f.value.get("first_failure") is not None else None
    reached = f.inner("reached") if f.value.get("reached") is not None else None
    progress = f.inner("progress") if f.value.get("progress") is not None else None
    return Run(
        id=f.text("run"),
        # A word that this program does not know tells nothing: nothing is ever begun on it.
        state=RunState(state) if state in set(RunState) else RunState.UNKNOWN,
        mode=Mode(mode) if mode in set(Mode) else None,
        journal=f.text_or_none("journal"),
        reached=reached.text("step") if reached else None,
        percent=progress.number("percent") if progress else None,
        first_failure=f"{failure.text('step')}: {failure.text('error')}" if failure else None,
        intact=f.text_or_none("intact") or "",
        next=f.text_or_none("next") or "",
        # Neither does a word about the first boot: it is no confirmation.
        confirmation=Confirmation(confirmation)
        if confirmation in set(Confirmation)
        else Confirmation.FAILED,
        fell_short=tuple(map(str, f.list("fell_short"))),
        stopping=f.flag("stopping"),
        consent=f.text_or_none("consent"),
        begun_in=f.text_or_none("begun_in"),
    )
