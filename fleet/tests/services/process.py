"""Starting a service as a user who may run it, waiting for it, and ending it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Generous: the machine may be busy with virtual machines.
_PATIENCE_SECONDS = 120


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def find(program: str, *globs: str) -> str:
    """The path of a program, or a failure that names the package's list."""
    paths = [shutil.which(program), *(str(p) for g in globs for p in sorted(Path("/").glob(g)))]
    for path in reversed([p for p in paths if p]):
        return path
    raise FileNotFoundError(
        f"{program} is not here; `scripts/setup.sh` installs what scripts/packages.txt names"
    )


def wait_until(what: Callable[[], object]) -> None:
    """Until it is so, or a failure."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true in {_PATIENCE_SECONDS} s")
        time.sleep(0.05)


def unprivileged() -> tuple[int, int] | None:
    """Who runs PostgreSQL: the caller or, where that is root, somebody who is not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise LookupError("neither postgres nor nobody is a user here, and PostgreSQL refuses root")


class Service:
    """A process that serves until it is stopped, and can be killed, paused and started again."""

    def __init__(
        self, command: Sequence[str], directory: Path, who: tuple[int, int] | None = None
    ) -> None:
        self.command = list(command)
        self.directory = directory
        self.who = who
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, answers: Callable[[], bool]) -> None:
        """Start, and wait until it answers."""
        user, group = self.who or (None, None)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                # Killed with whoever started it, so that a test that is killed leaves nothing.
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                user=user,
                group=group,
            )
        end = time.monotonic() + _PATIENCE_SECONDS
        while not answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"start {self.command[0]}: {self.log()[-2000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        """What it said."""
        return (self.directory / "log").read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pause(self) -> None:
        """Stop it in the middle of whatever it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def go_on(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
