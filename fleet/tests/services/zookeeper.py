"""A ZooKeeper of the test's own: Debian's library, run by Java, on a loopback port."""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
import uuid
from pathlib import Path
from typing import Self

from tests.services.process import Service, find, free_port, wait_until

CONFIG = """
tickTime=250
minSessionTimeout=500
maxSessionTimeout={longest_ms}
dataDir={directory}/data
clientPort={port}
clientPortAddress=127.0.0.1
"""
TOGETHER = """
initLimit=240
syncLimit=24
"""
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
JAR = Path("/usr/share/java/zookeeper.jar")


class Zookeeper:
    """A server that keeps what it was told, also when it is killed."""

    def __init__(self, longest_s: float = 600.0, number: int = 0, together: str = "") -> None:
        """`together`, and which of them it is: what an ensemble's servers know of each other."""
        self.directory = Path(tempfile.mkdtemp(prefix="reroot-fleet-zookeeper-"))
        self.port = free_port()
        text = CONFIG.format(
            directory=self.directory, port=self.port, longest_ms=int(longest_s * 1000)
        )
        (self.directory / "zoo.cfg").write_text(text + together)
        (self.directory / "data").mkdir()
        (self.directory / "data" / "myid").write_text(f"{number}")
        if not JAR.exists():
            raise FileNotFoundError(f"no {JAR}; `scripts/fleet.sh prove` installs it")
        options = {
            # Nothing of it is for others: no port but the one.
            "zookeeper.admin.enableServer": "false",
            # A killed server loses nothing that the kernel has; only a power cut would.
            "zookeeper.forceSync": "no",
        }
        command = [find("java"), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-D{name}={value}" for name, value in options.items()]
        command += ["-cp", str(JAR), MAIN]
        self.service = Service([*command, str(self.directory / "zoo.cfg")], self.directory)

    def start(self) -> None:
        """Start it, also again."""
        self.service.start(self.answers)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.service.stop(signal.SIGKILL)

    @property
    def hosts(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    def board(self) -> str:
        """The address of a new, empty place."""
        return f"zookeeper://{self.hosts}/{uuid.uuid4().hex}/jobs"

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(b"srvr")
                return b"Mode: " in asked.recv(8192)
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.service.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)


class Ensemble:
    """Three of them, of which two have to live."""

    def __init__(self) -> None:
        peers = [f"server.{n}=127.0.0.1:{free_port()}:{free_port()}" for n in (1, 2, 3)]
        together = TOGETHER + "\n".join(peers) + "\n"
        self.servers = [Zookeeper(number=n, together=together) for n in (1, 2, 3)]

    @property
    def hosts(self) -> str:
        """Where they serve."""
        return ",".join(server.hosts for server in self.servers)

    def __enter__(self) -> Self:
        for server in self.servers:
            server.service.start(lambda: True)  # none serves alone
        for server in self.servers:
            wait_until(server.answers)
        return self

    def __exit__(self, *error: object) -> None:
        for server in self.servers:
            server.__exit__()
