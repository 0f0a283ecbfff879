"""What a person does at a machine that holds: looks at it through its RAM environment, and resets it.

The staged image takes the run up again, and mends the filesystem first. Nobody says `go`.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.demo.said import heading

if TYPE_CHECKING:
    from pathlib import Path

    from tests.demo.machines import Reached

LOOK = "grep -e 'rror' -e HOLD -e intact -e next: /run/reroot/log | tail -n 12; id -u"
RESET = "sync; busybox reboot -f"
"""What the hold itself tells to do when its cause is mended; here the next start mends it."""
TRIES = 3


def rescue(machine: Reached, key: Path, known_hosts: Path) -> str:
    """Logs in as root under the machine's own host key, and resets it; what was seen before."""
    heading(f"ssh root@{machine.name}: a root shell in the RAM environment")
    for _ in range(TRIES):
        said = _shell(machine, key, known_hosts, LOOK)
        if said.endswith("\n0\n"):
            break
    else:
        raise RuntimeError(f"nobody gets into {machine.name}, which holds: {said}")
    heading(f"{machine.name} is reset")
    _shell(machine, key, known_hosts, RESET)
    return said


def _shell(machine: Reached, key: Path, known_hosts: Path, typed: str) -> str:
    command = [
        "ssh", "-T", "-i", str(key), "-p", str(machine.port),
        "-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes",
        "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60",
        # Whoever resets a machine is not told that the connection has ended.
        "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6", "root@127.0.0.1",
    ]  # fmt: skip
    done = subprocess.run(
        command, input=f"{typed}\n", capture_output=True, text=True, timeout=600, check=False
    )
    return done.stdout + done.stderr
