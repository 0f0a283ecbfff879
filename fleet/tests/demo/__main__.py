"""`make demo-fleet`: a night of five small machines, for real, and the report of the morning after.

Two machines of one class are reinstalled. Of another class the canary's old OS cannot be left: it reverts,
its class waits, the budget pauses the night, and a person lets it go on. Of a third class the canary's
filesystem has a damage that shows in the wipe: it holds behind its commit point, a person is woken up,
looks at it by ssh and resets it, and it goes on. A conductor is killed in the middle of a `go`, and the
other one takes its machines up. The page is open meanwhile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.memory import events, jobs
from reroot_fleet.memory.database import Memory, open_memory
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from tests.demo import files, pictures
from tests.demo.alerts import Listener
from tests.demo.fleet import Fleet
from tests.demo.judged import shortcomings
from tests.demo.machines import Machines
from tests.demo.rescue import rescue
from tests.demo.said import heading, say, tell
from tests.services.postgres import Postgres
from tests.services.process import free_port
from tests.services.redis import Redis

if TYPE_CHECKING:
    from reroot_fleet.values.event import Event
    from reroot_fleet.values.job import Job

PATIENCE_S = 7200.0
"""The machines may be emulated, and this one busy."""
INTO_THE_GO_S = 3.0
"""From the intent to the middle of `go`: it is being said by then, and takes longer."""
KILLED = "the conductor {name} is killed, in the middle of {host}'s go"
UNTOUCHED = "shop4"
NOT_OVER = frozenset({JobState.HELD})
"""How a job may stand for a while, here: who holds is helped."""


class Night:
    """The night, followed by its log as whoever watches it does."""

    def __init__(
        self, at: Path, address: str, memory: Memory, fleet: Fleet, machines: Machines
    ) -> None:
        self._at, self._address, self._memory, self._fleet = at, address, memory, fleet
        self._machines = machines
        self._seen = 0
        self._resumed = False
        self.killed: str | None = None

    def follow(self) -> None:
        """Until every machine but the one that is not let go has ended."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for event in self._news():
                tell(event)
                self._act(event)
            others = [j.state for j in self.jobs() if j.host != UNTOUCHED]
            if all(state.ended and state not in NOT_OVER for state in others):
                return
            time.sleep(0.5)
        raise TimeoutError("the night did not end; what it came to is in the report")

    def jobs(self) -> list[Job]:
        """All jobs."""
        with self._memory.read() as c:
            return jobs.select(c)

    def _news(self) -> list[Event]:
        with self._memory.read() as c:
            found = events.read(c, after=self._seen)
        self._seen = found[-1].number or 0 if found else self._seen
        return found

    def _act(self, event: Event) -> None:
        if event.what is What.GO_INTENDED and event.host == "shop1" and self.killed is None:
            self._kill(event)
        elif event.what is What.NIGHT_PAUSED and not self._resumed:
            self._look_and_resume()
        elif event.what is What.JOB_HELD and event.host is not None:
            self._help(event.host)

    def _kill(self, event: Event) -> None:
        time.sleep(INTO_THE_GO_S)
        self.killed = event.who.removeprefix("conductor ")
        self._fleet.kill(self.killed)
        heading(f"kill -9: {KILLED.format(name=self.killed, host=event.host)}")

    def _look_and_resume(self) -> None:
        """What a person does who is woken up."""
        self._resumed = True
        self._fleet.command("status")
        self._fleet.command("why", "shop3")
        pictures.take(self._address, "demo", self._at / "page.png")
        say(f"the page was looked at: {self._at / 'page.png'}")
        reason = "shop3 has its old OS back; its class waits, the others go on"
        self._fleet.command("resume", "--yes", "--reason", reason)

    def _help(self, host: str) -> None:
        """What the alert leads to."""
        self._fleet.command("status")
        self._fleet.command("why", host)
        pictures.take(self._address, "demo", self._at / "page-held.png")
        pictures.take(self._address, "demo", self._at / "page-held-machine.png", machine=host)
        known = self._at / "known_hosts"
        seen = rescue(self._machines.called(host), self._machines.key, known)
        for line in seen.splitlines():
            say(f"    {host}  {line}")


def perform(at: Path, program: Path, only: list[str]) -> int:
    """The whole night, or that of some machines alone; the exit status."""
    port = free_port()
    heading("boot the old servers")
    with (
        Machines(program, only) as machines,
        Postgres() as postgres,
        Redis() as redis,
        Listener() as listener,
    ):
        now = datetime.now(UTC)
        database = postgres.database()
        parts = {"database": database, "board": redis.address, "alerts": listener.address}
        files.write(at, machines, now, port=port, **parts)
        say(f"settings, inventory and policy are in {at}")
        with Fleet(at) as fleet:
            address = f"http://127.0.0.1:{port}"
            return _night(at, address, database, fleet, machines, listener)


def _night(
    at: Path, address: str, database: str, fleet: Fleet, machines: Machines, listener: Listener
) -> int:
    fleet.command("import", str(at / "inventory.ini"))
    fleet.command("survey", "all", "--at-once", "2")
    fleet.command("queue", "all", "--policy", str(at / "policy.toml"), "--yes")
    for name in ("north", "south"):
        fleet.start(name, "conductor", "--name", name)
    fleet.start("page", "page")
    heading(f"two conductors run, and the page is open: {address}, with the token `demo`")
    fleet.command("doctor", may_fail=True)
    fleet.command("start", "--yes")
    memory = open_memory(database)
    try:
        night = Night(at, address, memory, fleet, machines)
        night.follow()
        names = {machine.name for machine in machines.all}
        if UNTOUCHED in names:
            reason = "its class's canary failed; by day"
            fleet.command("abort", UNTOUCHED, "--yes", "--reason", reason)
        _morning(at, address, fleet, names)
        return _judge(night, memory, machines, at, listener)
    finally:
        memory.close()


def _morning(at: Path, address: str, fleet: Fleet, names: set[str]) -> None:
    pictures.take(address, "demo", at / "page-morning.png")
    fleet.command("graph", "--night", "last", "-o", str(at / "night.svg"))
    for host in sorted({"shop1", "shop5"} & names):
        pictures.take(address, "demo", at / f"page-{host}.png", machine=host)
        fleet.command("graph", "--host", host, "-o", str(at / f"{host}.svg"))
    fleet.command("report", "-o", str(at / "report.html"))
    fleet.command("report", "-o", str(at / "report.md"))
    heading("the morning after")
    sys.stdout.write((at / "report.md").read_text())


def _judge(night: Night, memory: Memory, machines: Machines, at: Path, listener: Listener) -> int:
    with memory.read() as c:
        log = list(events.read_all(c))
    found = shortcomings(log, night.jobs(), machines, at, killed=night.killed, alerts=listener.told)
    heading("what was to be shown")
    for line in found.held:
        say(f"  yes  {line}")
    for line in found.short:
        say(f"  NO   {line}")
    say(f"everything is in {at}")
    done = sum(j.state is JobState.DONE for j in night.jobs())
    say(f"{done} machines were reinstalled, {len(found.short)} things fell short")
    return 1 if found.short else 0


def main() -> int:
    """Parses what it is told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machines", type=Path, help="the harness's program fleet-machines")
    parser.add_argument("into", type=Path, help="a directory that is made anew")
    parser.add_argument("--only", action="append", default=[], help="some of the machines alone")
    told = parser.parse_args()
    at: Path = told.into.absolute()
    shutil.rmtree(at, ignore_errors=True)
    return perform(at, told.machines.absolute(), told.only)


if __name__ == "__main__":
    sys.exit(main())
