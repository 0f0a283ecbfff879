"""Everything known about one machine, in order: a line an event, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from reroot_fleet.policy.fold import override_detail
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, JobState, Override

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    at: datetime
    who: str
    text: str
    loud: bool = False
    """It is what one looks for: a failure, an end, a person's word."""


def _cause(word: str) -> Callable[[Detail], str]:
    return lambda d: f"{word}: {d['cause']}" if d.get("cause") else word


def _step(word: str) -> Callable[[Detail], str]:
    def say(d: Detail) -> str:
        again = f", try {d['try']}" if d.get("try", 1) not in {1, None} else ""
        took = f" in {d['seconds']:.0f} s" if isinstance(d.get("seconds"), int | float) else ""
        return f"{d.get('step', '?')}: {word}{again}{took}"

    return say


def _queued(d: Detail) -> str:
    attempt = f", attempt {d['attempt']}" if d.get("attempt", 1) != 1 else ""
    special = d.get("override")
    return f"queued with image {_digest(d.get('image'))}{attempt}" + (
        f"; a special case: {_special(special)}" if isinstance(special, dict) else ""
    )


def _special(d: Detail) -> str:
    parts = [
        f"entry {d['entry']}" if d.get("entry") else "",
        f"keep {', '.join(d['keep'])}" if d.get("keep") else "",
        f"image {_digest(d['image'])}" if d.get("image") else "",
        f"forced {', '.join(d['force'])}" if d.get("force") else "",
        "rehearsed first" if d.get("rehearse") else "",
    ]
    does = "; ".join(p for p in parts if p) or "nothing else than usual"
    return f"{does}, by {d.get('who', '?')}: {d.get('why', '')}"


def special_words(override: Override) -> str:
    """A special case in words."""
    return _special(override_detail(override))


def _failed(d: Detail) -> str:
    again = f"; tried again at {_clock(d['again_at'])}" if d.get("again_at") else "; not again"
    return f"{d.get('step', '?')}: failed: {d.get('error', 'nothing is known of it')}{again}"


def _refused_go(d: Detail) -> str:
    newest = f"; the newest run there is {d['newest']}" if d.get("newest") else ""
    return f"the machine refused go with exit status {d.get('exit_status', '?')}{newest}"


def _clock(value: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)):%H:%M:%S} UTC"
    except ValueError:
        return str(value)


def _digest(value: object) -> str:
    text = str(value or "?")
    return f"{text[:16]}…" if len(text) > 20 else text


def _plan(d: Detail) -> str:
    if not d.get("deadlines_s"):
        return "its plan is known"
    return f"its plan is known: at most {round(d['deadlines_s'] / 60)} min by its own deadlines"


def _survey(d: Detail) -> str:
    if d.get("may_go"):
        return "surveyed: it may go"
    codes = ", ".join(map(str, d.get("codes", ()))) or d.get("reason") or "no reason given"
    return f"surveyed: refused by {codes}"


WORDS: dict[What, Callable[[Detail], str]] = {
    What.JOB_QUEUED: _queued,
    What.JOB_POSTED: lambda d: (
        "let go" if d.get("wave") is None else f"let go in {wave_words(d['wave'])}"
    ),
    What.JOB_CLAIMED: lambda d: f"claimed by conductor {d.get('conductor', '?')}",
    What.JOB_ABANDONED: lambda d: (
        f"its conductor {d.get('conductor', '')} is gone; another takes it up"
    ),
    What.STEP_BEGUN: _step("begun"),
    What.STEP_DONE: _step("done"),
    What.STEP_FAILED: _failed,
    What.STEP_REVERTED: _step("undone"),
    What.PLAN_KNOWN: _plan,
    What.GO_INTENDED: lambda d: (
        f"about to say go: run {d.get('run', '?')}, after {d.get('after') or 'none'}, "
        f"to end by {_clock(d.get('deadline', '?'))}"
    ),
    What.GO_ACCEPTED: lambda d: (
        f"the machine {'goes on with' if d.get('attached') else 'began'} run {d.get('run', '?')}"
    ),
    What.GO_REFUSED: _refused_go,
    What.MACHINE_SILENT: lambda d: (
        "the machine has left its OS: the RAM environment answers"
        if d.get("place") == "ram"
        else "the machine is silent"
    ),
    What.MACHINE_ANSWERED: lambda d: (
        f"the machine answers{', in a new boot' if d.get('new_boot') else ''}"
        + (f": run {d['state']}" if d.get("state") else "")
    ),
    What.JOB_LATE: lambda _: "past its deadline: it counts as failed",
    What.JOB_DONE: lambda _: "DONE: the new OS is in place and confirmed",
    What.JOB_REVERTED: _cause("REVERTED, the old OS is as it was"),
    What.JOB_REFUSED: _cause("REFUSED, nothing was changed"),
    What.JOB_HELD: _cause("HELD, a person is needed"),
    What.JOB_TAKEN_UP: lambda d: (
        f"the machine answers after all and is taken up again: {d.get('evidence', '?')}"
    ),
    What.JOB_WITHDRAWN: _cause("WITHDRAWN before go, nothing was changed"),
    What.JOB_RESTORED: _cause("RESTORED from its backup"),
    What.NIGHT_PLANNED: lambda _: "the night was made",
    What.NIGHT_PAUSED: _cause("the night was paused"),
    What.NIGHT_HALTED: _cause("the night was halted"),
    What.NIGHT_RESUMED: lambda _: "the night was resumed",
    What.NIGHT_OPENED: lambda _: "the night was opened",
    What.NIGHT_CLOSED: lambda _: "the night was closed",
    What.CLASS_STOPPED: lambda d: f"the class {_class(d)} was stopped: {d.get('cause', '')}",
    What.GATE_PASSED: lambda d: (
        f"the gate behind {wave_words(d.get('wave', 0))} is open: confirmed, and baked"
    ),
    What.HOST_IMPORTED: lambda _: "imported into the inventory",
    What.HOST_CHANGED: lambda _: "changed in the inventory",
    What.HOST_REMOVED: lambda _: "removed from the inventory",
    What.SURVEYED: _survey,
    What.FINDING_ACCEPTED: lambda d: f"the finding {d.get('code', '?')} was accepted",
    What.OPERATOR_COMMAND: lambda d: f"reroot-fleet {d.get('command', '?')}",
    What.ALERT_RAISED: lambda d: f"alert: {d.get('summary') or d.get('key', '')}",
    What.ALERT_ACKNOWLEDGED: lambda _: "the alert was acknowledged",
    What.ALERT_RESOLVED: lambda _: "the alert is over",
    What.NOTE: lambda d: str(d.get("text", "")),
}

LOUD: frozenset[What] = frozenset(
    {
        What.STEP_FAILED,
        What.GO_REFUSED,
        What.JOB_LATE,
        What.JOB_DONE,
        What.JOB_REVERTED,
        What.JOB_REFUSED,
        What.JOB_HELD,
        What.JOB_TAKEN_UP,
        What.JOB_WITHDRAWN,
        What.JOB_RESTORED,
        What.NIGHT_HALTED,
        What.NIGHT_PAUSED,
        What.CLASS_STOPPED,
        What.OPERATOR_COMMAND,
    }
)


def wave_words(wave: object) -> str:
    """A wave in words."""
    if wave == 0:
        return "the canaries"
    return "a wave of its own" if isinstance(wave, int) and wave >= 1000 else f"wave {wave}"


def _class(d: Detail) -> str:
    key = str(d.get("class", ""))
    return str(MachineClass.of_key(key)) if key.count("/") >= 3 else key


def words(event: Event) -> str:
    """One event in words."""
    say = WORDS.get(event.what)
    said = str(event.what) if say is None else say(event.detail)
    more = event.why and event.why != event.detail.get("cause") and event.why not in said
    return f"{said} ({event.why})" if more else said


def lines(events: Iterable[Event]) -> tuple[Line, ...]:
    """The events in their order, in words."""
    return tuple(Line(e.at, e.who, words(e), e.what in LOUD) for e in events)


NEXT: dict[JobState, str] = {
    JobState.QUEUED: "nothing; it waits for its turn",
    JobState.POSTED: "nothing; a conductor takes it up",
    JobState.RUNNING: "nothing, unless it is late",
    JobState.DONE: "nothing",
    JobState.REVERTED: "mend the cause, then `reroot-fleet requeue {host} --reason …`",
    JobState.REFUSED: "mend what the check found, or accept it; then `reroot-fleet requeue {host}`",
    JobState.HELD: "look at its console, or log in by ssh where it holds in the RAM environment: nothing "
    "says go to it again by itself. Its run goes on at the next boot from its own disk, and is found when "
    "it is done; or restore it from a backup. What else became of it: `reroot-fleet settle {host} --as …`",
    JobState.WITHDRAWN: "`reroot-fleet requeue {host} --reason …` for another night",
    JobState.RESTORED: "mend the cause, then `reroot-fleet requeue {host} --reason …`",
}
"""What to do next about a machine in each state."""


def next_step(host: str, state: JobState) -> str:
    """What a person does next about a machine."""
    return NEXT[state].format(host=host)


def why_text(host: Host, jobs: Iterable[Job], events: Iterable[Event], zone: str = "UTC") -> str:
    """Everything known about a machine, as a text."""
    at_site = ZoneInfo(zone)
    every = sorted(jobs, key=lambda j: (j.night, j.attempt))
    last = every[-1] if every else None
    head = [f"{host.name}: {last.state if last else 'never queued'}"]
    if last is not None and last.cause:
        head[0] += f": {last.cause}"
    # As it was queued: a survey knows more than an inventory does.
    queued_as = last.machine_class if last is not None else ""
    head += [
        f"  reached as   {host.user}@{host.address}:{host.port}"
        + (f" through {host.jump_host}" if host.jump_host else ""),
        f"  class        {_class({'class': queued_as}) if queued_as else host.machine_class}",
    ]
    head += [
        f"  {what:12} {value}"
        for what, value in (
            ("customer", host.customer),
            ("rack", host.rack),
            ("hypervisor", host.hypervisor),
            ("image", host.image),
        )
        if value
    ]
    for job in every:
        run = f", run {job.run}" if job.run else ""
        head.append(f"  attempt {job.attempt:<4} night {job.night}, {job.state}{run}")
        if job.override is not None:
            head.append(f"               special: {special_words(job.override)}")
    if last is not None:
        head.append(f"  do next      {next_step(host.name, last.state)}")
    return "\n".join([*head, "", *_log(events, at_site)]) + "\n"


def _log(events: Iterable[Event], zone: ZoneInfo) -> list[str]:
    day, out = "", []
    for line in lines(events):
        at = line.at.astimezone(zone)
        if f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            out.append(f"{day} ({zone.key})")
        out.append(f"  {at:%H:%M:%S} {'*' if line.loud else ' '} {line.text}  [{line.who}]")
    return out or ["nothing has happened yet"]
