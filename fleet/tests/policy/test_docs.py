"""What the operator's page shows is what the programs make. `REROOT_RECORD=1` makes it anew."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reroot_fleet.policy import report_text
from reroot_fleet.policy.drawing.flow import flow_svg
from reroot_fleet.policy.drawing.night import night_svg
from reroot_fleet.policy.drawing.run import run_svg
from reroot_fleet.policy.overview import overview
from reroot_fleet.policy.policy_file import read_policy
from reroot_fleet.policy.report import report
from reroot_fleet.policy.site import site
from reroot_fleet.policy.timeline import timeline
from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host, MachineClass
from reroot_fleet.values.job import Job, JobState, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy, WindowRule

DOCS = Path(__file__).parents[3] / "docs"
OPENS = datetime(2026, 11, 28, 21, tzinfo=UTC)
CLASSES = (
    MachineClass("bios", "scsi", "debian 11", "tg3"),
    MachineClass("uefi", "nvme", "debian 11", "igb"),
)
CAUSES = {
    11: (JobState.HELD, "loader: write the new loader to /dev/sda: input/output error"),
    6: (JobState.REVERTED, "stop: mysqld did not stop in 900 s"),
    9: (JobState.REVERTED, "stop: mysqld did not stop in 902 s"),
    17: (JobState.REFUSED, "check refused: watchdog (it is already running)"),
}
STEPS_S = (40, 75, 0, 12, 25, 140, 260, 45, 8, 2)


def life(job: str, host: str, begun: datetime, end: JobState, cause: str) -> list[Event]:
    """The events of a job that takes about ten minutes."""
    stops = {JobState.HELD: Atom.ANSWER, JobState.REVERTED: Atom.GO, JobState.REFUSED: Atom.CHECK}
    at, found = begun, []
    for atom, seconds in zip(ORDER, STEPS_S, strict=True):
        if atom is Atom.REHEARSE:
            continue
        tell = {"step": str(atom)}
        found.append(Event(at, "conductor north", What.STEP_BEGUN, "n", host, job, detail=tell))
        at += timedelta(seconds=seconds)
        if stops.get(end) is atom:
            ends = {s: w for w in What for s in JobState if w == f"job-{s}"}
            found.append(
                Event(at, "conductor north", ends[end], "n", host, job, detail={"cause": cause})
            )
            break
        found.append(Event(at, "conductor north", What.STEP_DONE, "n", host, job, detail=tell))
    return found


def example() -> tuple[Night, list[Job], list[Host], dict[str, list[Event]]]:
    """A night of 24 machines in which some went wrong."""
    hosts, jobs, lives = [], [], {}
    rule = WindowRule("Europe/Berlin")
    window = Window(OPENS, OPENS + timedelta(hours=8))
    stopped = frozenset({CLASSES[1].key})
    night = Night("2026-11-28", window, Policy("careful", rule), NightState.CLOSED, "all", stopped)
    for n in range(24):
        name, it = f"shop{n + 1:02}", CLASSES[n % 2]
        customer = ("acme", "bolt", "corner shop")[n // 8]
        hosts.append(
            Host(
                name, f"192.0.2.{n + 1}", customer=customer, rack=f"r{n // 4 + 1}", machine_class=it
            )
        )
        begun = OPENS + timedelta(minutes=0 if n < 2 else 42 + n)
        end, cause = CAUSES.get(n, (JobState.DONE, ""))
        key = job_id(night.id, name, 1)
        lives[name] = life(key, name, begun, end, cause)
        job = Job(key, night.id, name, "5a0b3f1e", wave=int(n > 1), state=end, cause=cause or None)
        jobs.append(with_times(job, it, begun, lives[name]))
    return night, jobs, hosts, lives


def with_times(job: Job, it: MachineClass, begun: datetime, events: list[Event]) -> Job:
    """The job with what its events say."""
    said_go = [e.at for e in events if e.detail.get("step") == Atom.GO]
    last = [e.detail["step"] for e in events if "step" in e.detail][-1]
    return Job(
        **{f: getattr(job, f) for f in ("id", "night", "host", "image", "wave", "state", "cause")},
        machine_class=it.key,
        posted_at=begun,
        since=begun,
        go_at=said_go[0] if said_go else None,
        ended_at=events[-1].at,
        step=Atom(last),
        run="20261128T214253Z-7f2a" if said_go else None,
    )


def made() -> dict[str, str]:
    """Every file, as the programs make it now."""
    night, jobs, hosts, lives = example()
    now = OPENS + timedelta(hours=8)
    held = next(j for j in jobs if j.state is JobState.HELD)
    seen = overview(now, night, jobs, hosts, site(hosts, night.policy.limits))
    events = [
        Event(OPENS - timedelta(hours=5), "ann", What.NIGHT_OPENED, night.id),
        Event(
            OPENS + timedelta(hours=1, minutes=2),
            "conductor north",
            What.CLASS_STOPPED,
            night.id,
            detail={"class": CLASSES[1].key, "cause": "1 machine held behind the commit point"},
        ),
    ]
    return {
        "fleet-flow.svg": flow_svg(),
        "fleet-night.svg": night_svg(seen),
        "fleet-run.svg": run_svg(held, timeline(lives[held.host]), now, "Europe/Berlin"),
        "examples/fleet-report.md": report_text.markdown(report(night, jobs, hosts, events, now)),
    }


def test_the_pictures_and_the_report_of_the_docs_are_what_the_programs_make() -> None:
    for name, text in made().items():
        if os.environ.get("REROOT_RECORD"):
            (DOCS / name).write_text(text)
        assert (DOCS / name).read_text() == text, name


def test_the_example_of_a_policy_is_the_default_but_where_it_says_so() -> None:
    file = DOCS / "examples" / "fleet-policy.toml"
    found = read_policy(file.read_text(), str(file))
    plain = Policy(
        name="careful",
        window=WindowRule("Europe/Berlin", never=found.window.never),
    )
    assert found == plain
