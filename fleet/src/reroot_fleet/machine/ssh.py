"""A machine by OpenSSH, as a program: its configuration, agents, jump hosts and certificates count.

No password is asked for, no unknown host key is accepted, and nothing waits longer than it was given:
a connection that is half open ends by ssh's own questions (`ServerAlive…`), and the program by ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.machine import banner, commands
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.machine.seam import Answer, Confirmation, Look
from reroot_fleet.values.exit_status import SSH_FAILED, ExitStatus
from reroot_fleet.values.findings import parse_findings
from reroot_fleet.values.machine_plan import parse_plan
from reroot_fleet.values.machine_status import Confirmation as First
from reroot_fleet.values.machine_status import MachineStatus, parse_status
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from reroot_fleet.machine.seam import ImageFile, Order, Wishes
    from reroot_fleet.values.findings import Finding
    from reroot_fleet.values.host import Host
    from reroot_fleet.values.machine_plan import MachinePlan

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each question may take, in seconds. Busy machines are slow: these are generous."""

    connect: int = 15
    look: float = 120.0
    check: float = 600.0
    copy: float = 7200.0
    go: float = 1800.0


OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ControlMaster=no",
    "ControlPath=none",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=ERROR",
)
"""Those that nobody's configuration may change: the first value that ssh sees counts."""

SAID: tuple[tuple[str, Fault], ...] = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", Fault.HOST_KEY),
    ("Host key verification failed", Fault.HOST_KEY),
    ("host key is known for", Fault.HOST_KEY),
    ("Permission denied", Fault.LOGIN),
    ("Too many authentication failures", Fault.LOGIN),
    ("Connection refused", Fault.REFUSED),
    ("Connection timed out", Fault.SILENT),
    ("No route to host", Fault.SILENT),
    ("Operation timed out", Fault.SILENT),
    ("banner exchange", Fault.SILENT),
    ("Could not resolve hostname", Fault.LOCAL),
)
"""What ssh says when it ends with 255, in the order in which it is looked for."""


IN_RAM = ("reroot: this is the RAM environment", "sessions are open already")
"""What the RAM environment says to what it does not do, and where too many ask at once."""


def fault_of(text: str) -> Fault:
    """What ssh's last words mean. What is not known may have happened in the middle."""
    return next((fault for words, fault in SAID if words in text), Fault.BROKEN)


class SshMachine:
    """A `Machine` by ssh."""

    def __init__(self, host: Host, *, limits: Limits | None = None, program: str = "ssh") -> None:
        self._host = host
        self._limits = limits or Limits()
        self._program = program
        self._run: str | None = None

    @property
    def host(self) -> Host:
        """Which one."""
        return self._host

    def greet(self) -> None:
        """Its banner; one behind a jump host has none that we could see, and is asked by `look`."""
        if self._host.jump_host is None and not any(
            option.lower().startswith("proxy") for option in self._host.ssh_options
        ):
            banner.greet(self._host.address, self._host.port)

    def look(self, image: str) -> Look:
        """Boot, uptime, runs, and whether the image is there."""
        said = self._good("look at it", commands.look(image, self._run), self._limits.look)
        _, found, rest = said.partition(commands.LOOKED)
        if not found:
            return self._in_ram(said)
        head, _, document = rest.partition("\n")
        words = head.split()
        if len(words) != 4:
            raise MachineFault(Fault.NONSENSE, self._attempted("look at it"), repr(said[:200]))
        boot, uptime, there, busy = words
        status = self._status(document)
        return Look(boot, float(uptime), status, there == "there", busy == "busy")

    def _in_ram(self, said: str) -> Look:
        """What the RAM environment answers: the status alone, and none of a shell's words."""
        status = self._parsed(
            "status", lambda: parse_status(said, host=self._host.name, in_ram=True)
        )
        return Look(status.boot or "", 0.0, status, image_there=False)

    def _status(self, document: str) -> MachineStatus:
        if document.strip() == "none":
            return MachineStatus()
        return self._parsed("status", lambda: parse_status(document, host=self._host.name))

    def check(self, wishes: Wishes) -> tuple[Finding, ...]:
        """Its checks: 1 is an answer too."""
        answer = self._ssh("check", commands.ask("check", wishes), self._limits.check)
        self._require("check", answer, {ExitStatus.DONE, ExitStatus.REFUSED})
        return self._parsed("check", lambda: parse_findings(answer.text, host=self._host.name))

    def plan(self, wishes: Wishes) -> MachinePlan:
        """Its plan."""
        said = self._good("plan", commands.ask("plan", wishes), self._limits.check)
        return self._parsed("plan", lambda: parse_plan(said, host=self._host.name))

    def copy(self, image: ImageFile, kib_per_s: int | None) -> None:
        """Goes on where an earlier copy broke off; in place only whole, by its digest."""
        if not image.path.is_file():
            raise MachineFault(Fault.LOCAL, f"copy {image.path}", "there is no such file here")
        self._good("make its directory", commands.make_home(), self._limits.look)
        self._transfer(image, kib_per_s)
        place = commands.put_in_place(image.digest)
        answer = self._ssh("compare the copy", place, self._limits.check)
        if answer.exit_status != 0:
            # What is there is of no use, and the next try must not go on with it.
            self._ssh("remove the copy", commands.clear(image.digest), self._limits.look)
            why = f"{answer.last_line}; it was removed"
            raise MachineFault(Fault.COPY, self._attempted("compare the copy"), why)

    def _transfer(self, image: ImageFile, kib_per_s: int | None) -> None:
        has_rsync = self._ssh("look for rsync", "command -v rsync", self._limits.look)
        target = commands.partial_path(image.digest)
        if has_rsync.exit_status == 0:
            command = self._rsync(image.path, target, kib_per_s)
        else:
            command = self._scp(image.path, target, kib_per_s)
        answer = _called(command, self._limits.copy)
        if answer is None:
            why = f"it did not end within {self._limits.copy:.0f} s; what is there is kept"
            raise MachineFault(Fault.COPY, self._attempted("copy the image"), why)
        if answer.exit_status != 0:
            kind = fault_of(answer.text)
            kind = Fault.COPY if kind is Fault.BROKEN else kind
            raise MachineFault(kind, self._attempted("copy the image"), answer.last_line)

    def rehearse(self, order: Order) -> Answer:
        """Begins a rehearsal."""
        return self._begin("rehearse", order)

    def go(self, order: Order) -> Answer:
        """Begins the run, or attaches."""
        return self._begin("go", order)

    def _begin(self, word: str, order: Order) -> Answer:
        self._run = order.run
        return self._ssh(word, commands.begin(word, order), self._limits.go)

    def confirm(self, run: str) -> Confirmation:
        """What its first boot says of the run."""
        self._run = run
        found = self.look("none").status.run(run)
        if found is None or found.confirmation in {First.NONE, First.PENDING}:
            return Confirmation(known=False)
        passed = found.confirmation is First.PASSED
        failing = found.fell_short or (() if passed else (f"its comparison {found.confirmation}",))
        return Confirmation(known=True, passed=passed, failing=failing)

    def clear(self, image: str) -> None:
        """Removes the image."""
        self._good("remove the image", commands.clear(image), self._limits.look)

    # -- ssh itself ---------------------------------------------------------------------------

    def _options(self) -> list[str]:
        fixed = [*OPTIONS, f"ConnectTimeout={self._limits.connect}", f"Port={self._host.port}"]
        return [word for o in (*fixed, *self._host.ssh_options) for word in ("-o", o)]

    def _ssh(self, what: str, script: str, limit_s: float) -> Answer:
        target = f"{self._host.user}@{self._host.address}"
        command = [self._program, *self._options(), "--", target, script]
        answer = _called(command, limit_s)
        if answer is None:
            why = f"no answer in {limit_s:.0f} s; the connection may be half open"
            raise MachineFault(Fault.SILENT, self._attempted(what), why)
        if answer.exit_status == SSH_FAILED:
            raise MachineFault(fault_of(answer.text), self._attempted(what), answer.last_line)
        if answer.exit_status != 0 and any(words in answer.text for words in IN_RAM):
            raise MachineFault(Fault.SILENT, self._attempted(what), answer.last_line)
        return answer

    def _good(self, what: str, script: str, limit_s: float) -> str:
        answer = self._ssh(what, script, limit_s)
        self._require(what, answer, {ExitStatus.DONE})
        return answer.text

    def _require(self, what: str, answer: Answer, good: set[ExitStatus]) -> None:
        if answer.exit_status not in good:
            why = f"it ended with status {answer.exit_status}: {answer.last_line}"
            raise MachineFault(Fault.NONSENSE, self._attempted(what), why)

    def _attempted(self, what: str) -> str:
        return f"{self._host.name}: {what}"

    def _parsed(self, what: str, parse: Callable[[], T]) -> T:
        try:
            return parse()
        except Problem as problem:
            raise MachineFault(Fault.NONSENSE, self._attempted(what), problem.why) from problem

    def _rsync(self, path: Path, target: str, kib_per_s: int | None) -> list[str]:
        shell = " ".join([self._program, *self._options()])
        limit = [] if kib_per_s is None else [f"--bwlimit={kib_per_s}"]
        where = f"{self._host.user}@{_bracketed(self._host.address)}:{target}"
        # An image may be a link to the newest of its kind, and a link is not what travels.
        return ["rsync", "--copy-links", "--partial", "--inplace", "--timeout=120", "-e", shell,
                *limit, "--", str(path), where]  # fmt: skip

    def _scp(self, path: Path, target: str, kib_per_s: int | None) -> list[str]:
        limit = [] if kib_per_s is None else ["-l", str(kib_per_s * 8)]
        where = f"{self._host.user}@{_bracketed(self._host.address)}:{target}"
        return ["scp", "-q", *self._options(), *limit, "--", str(path), where]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _called(command: list[str], limit_s: float) -> Answer | None:
    """Runs a program in a group of its own, so that it ends with everything that it started."""
    try:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise MachineFault(Fault.LOCAL, f"run {command[0]}", str(error)) from error
    try:
        out, err = running.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        return None
    # What it said on its error output comes last: there is the line that says why.
    return Answer(running.returncode, out if running.returncode == 0 else f"{out}{err}")
