"""An ssh server of the test's own: Debian's program, keys of its own, one port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from reroot_fleet.values.host import Host
from tests.services.process import Service, find, free_port

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


class Sshd:
    """A server that lets this very user in."""

    def __init__(self, more: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="reroot-fleet-sshd-"))
        self.port = free_port()
        for name in ("host", "user", "other"):
            self._key(name)
        shutil.copy(self.directory / "user.pub", self.directory / "authorized")
        self.know("host")
        text = CONFIG.format(port=self.port, directory=self.directory) + more
        (self.directory / "config").write_text(text)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        command = [find("sshd", "usr/sbin/sshd"), "-D", "-e", "-f", str(self.directory / "config")]
        self.service = Service(command, self.directory)

    def _key(self, name: str) -> None:
        file = str(self.directory / name)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file]
        subprocess.run(command, check=True)

    def know(self, name: str) -> None:
        """Make one of the keys the one that is known of the host."""
        key = (self.directory / f"{name}.pub").read_text()
        (self.directory / "known").write_text(f"[127.0.0.1]:{self.port} {key}")

    def host(self, *, port: int | None = None) -> Host:
        """It, as an inventory has it."""
        options = (
            f"IdentityFile={self.directory}/user",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={self.directory}/known",
            "GlobalKnownHostsFile=/dev/null",
        )
        user = pwd.getpwuid(os.geteuid()).pw_name
        return Host("shop1", "127.0.0.1", user, port or self.port, options)

    def _answers(self) -> bool:
        import socket  # noqa: PLC0415 - here alone

        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        self.service.start(self._answers)
        return self

    def __exit__(self, *error: object) -> None:
        self.service.stop(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)
