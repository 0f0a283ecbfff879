"""A Redis of the test's own, with its append-only file on: Debian's program on a loopback port."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Self

import redis

from tests.services.process import Service, find, free_port


class Redis:
    """A server that keeps what it was told, also when it is killed."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="reroot-fleet-redis-"))
        self.port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        command = [find("redis-server")]
        for name, value in options.items():
            command += [f"--{name}", value]
        self.service = Service(command, self.directory)

    def start(self) -> None:
        """Start it, also again."""
        self.service.start(self._answers)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.service.stop(signal.SIGKILL)

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.service.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
