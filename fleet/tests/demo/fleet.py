"""The fleet of the demo: its commands, its conductors and its page, as the processes that they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.demo.said import heading

_PROGRAM = (sys.executable, "-m", "reroot_fleet.talk.main")


class Fleet:
    """What is started here ends here."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._environment = os.environ | {
            "REROOT_FLEET_SETTINGS": str(at / "fleet.toml"),
            "REROOT_FLEET_OPERATOR": "ann",
            "COLUMNS": "110",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, *words: str, may_fail: bool = False) -> str:
        """What an operator types, and what is said."""
        shown = " ".join(f'"{w}"' if " " in w else w for w in words)
        heading(f"reroot-fleet {shown}")
        done = subprocess.run(
            [*_PROGRAM, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
        if done.returncode != 0 and not may_fail:
            raise RuntimeError(f"reroot-fleet {shown}: exit status {done.returncode}")
        return done.stdout

    def start(self, name: str, *words: str) -> None:
        """A program that runs; what it logs is in a file of its name."""
        with (self._at / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                # Killed with the demo, whatever ends that.
                ["setpriv", "--pdeathsig", "KILL", "--", *_PROGRAM, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """Ends it as a power cut would."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
