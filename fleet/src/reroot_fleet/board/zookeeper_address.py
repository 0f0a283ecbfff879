"""Where a ZooKeeper is, as the settings say it: `zookeeper://host:port,host:port/path`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from reroot_fleet.values.problem import Problem

PORT = 2181
PATH = "/reroot-fleet"
"""Where the address names no path."""


@dataclass(frozen=True, slots=True)
class ZookeeperAddress:
    """Its servers, and the node that the jobs are under."""

    servers: tuple[tuple[str, int], ...]
    path: str

    @property
    def hosts(self) -> str:
        """As kazoo wants them."""
        return ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.servers)


def parse(address: str) -> ZookeeperAddress:
    """Read an address; `Problem` where it is none."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise _wrong(address, str(error)) from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _wrong(address, "it has more in it than servers and a path")
    path = parts.path.rstrip("/") or PATH
    if "//" in path or any(name in {".", ".."} for name in path.split("/")):
        raise _wrong(address, f"{path} is no path of a node")
    return ZookeeperAddress(tuple(_server(address, s) for s in parts.netloc.split(",")), path)


def _server(address: str, server: str) -> tuple[str, int]:
    try:
        one = urlsplit(f"//{server}")
        host, port = one.hostname, one.port
    except ValueError as error:
        raise _wrong(address, f"`{server}`: {error}") from error
    if not host:
        raise _wrong(address, f"`{server}` names no host")
    return host, port or PORT


def _wrong(address: str, why: str) -> Problem:
    then = "it is zookeeper://HOST:PORT,HOST:PORT/PATH"
    return Problem(f"read the board's address {address}", why, then=then)
