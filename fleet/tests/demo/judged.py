"""What the demo shows, asked of the log, of the load balancer's file and of the machines themselves."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reroot_fleet.policy.fold import fold
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from reroot_fleet.values.event import Event
    from reroot_fleet.values.job import Job
    from tests.demo.machines import Machines, Reached

ENDS = {
    "shop1": JobState.DONE,
    "shop2": JobState.DONE,
    "shop3": JobState.REVERTED,
    "shop4": JobState.WITHDRAWN,
    "shop5": JobState.DONE,
}
NEW_OS = frozenset({"shop1", "shop2", "shop5"})
HELD, TAKEN_OVER = "shop5", "shop1"


@dataclass
class Found:
    """What held, and what fell short."""

    held: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def ask(self, line: str, *, holds: bool) -> None:
        """One thing that was to be shown."""
        (self.held if holds else self.short).append(line)


def shortcomings(
    log: list[Event],
    all_jobs: Iterable[Job],
    machines: Machines,
    at: Path,
    *,
    killed: str | None,
    alerts: list[dict[str, Any]],
) -> Found:
    """All of it."""
    found, jobs = Found(), {j.host: j for j in all_jobs}
    for host, job in sorted(jobs.items()):
        found.ask(f"{host} is {ENDS[host]}", holds=job.state is ENDS[host])
    for machine in machines.all:
        _machine(found, machine, machines.key, at)
    if TAKEN_OVER in jobs:
        _taken_over(found, log, killed)
    if HELD in jobs:
        _held(found, log, alerts)
    folded = fold(log)
    found.ask(
        "the log alone reproduces every job",
        holds=all(folded.jobs[j.id] == j for j in jobs.values()) and not folded.odd,
    )
    balancer = (at / "load-balancer").read_text().splitlines()
    drained = Counter(line for line in balancer if line.startswith("drain"))
    last = {line.split()[1]: line.split()[0] for line in balancer}
    found.ask(
        f"who was taken out of the load balancer is back in it: {dict(drained)}",
        holds=set(last.values()) == {"undrain"} and "shop4" not in last,
    )
    return found


def _taken_over(found: Found, log: list[Event], killed: str | None) -> None:
    """By the conductor that was left."""
    told = [e for e in log if e.what is What.JOB_CLAIMED and e.host == TAKEN_OVER]
    other = [e.detail.get("conductor") for e in told]
    found.ask(
        f"{TAKEN_OVER} was {killed}'s, which was killed, and was taken up by the other: {other}",
        holds=killed is not None and other[0] == killed and other[-1] != killed,
    )


def _held(found: Found, log: list[Event], alerts: list[dict[str, Any]]) -> None:
    """One page, one `go`, and on it goes once it is mended."""
    told = [e.what for e in log if e.host == HELD]
    of_it = [a["action"] for a in alerts if a["host"] == HELD]
    found.ask(
        f"{HELD} held behind its commit point and was told to a person once: {of_it}",
        holds=told.count(What.JOB_HELD) == 1 and of_it == ["trigger", "resolve"],
    )
    gos = [told.count(what) for what in (What.GO_INTENDED, What.GO_ACCEPTED)]
    found.ask(
        f"{HELD} was told `go` once, and taken up when a person had reset it",
        holds=gos == [1, 1] and told.count(What.JOB_TAKEN_UP) == 1,
    )


def _machine(found: Found, machine: Reached, key: Path, at: Path) -> None:
    script = (
        ". /etc/os-release; echo $VERSION_ID; hostname;"
        " ls -d /var/log/reroot/*-* /.reroot/*-* 2>/dev/null | wc -l"
    )
    command = [
        "ssh", "-i", str(key), "-p", str(machine.port),
        "-o", f"UserKnownHostsFile={at}/known_hosts", "-o", "StrictHostKeyChecking=yes",
        "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "root@127.0.0.1", script,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        said = done.stdout
    except subprocess.TimeoutExpired:
        said = ""  # it falls short, and so does the demo; the others are asked all the same
    words = [*said.split(), "?", "?", "?"]
    version, name, runs = words[:3]
    new = machine.name in NEW_OS
    found.ask(
        f"{machine.name} answers by its old key as {name}, in version {version}",
        holds=name == machine.name and (version == "13") == new,
    )
    begun = 0 if machine.name == "shop4" else 1
    found.ask(f"{machine.name} has {runs} run", holds=runs == str(begun))
