"""Looking at a ZooKeeper by day: who of its servers serves, and in which version."""

from __future__ import annotations

import re
import socket

from reroot_fleet.board import zookeeper_address

_VERSION = re.compile(r"Zookeeper version: ([\d.]+)")
_MODE = re.compile(r"Mode: (\w+)")


def look(address: str, seconds: float) -> tuple[str, str]:
    """How it is, and in which words; raises where no server answers."""
    servers = zookeeper_address.parse(address).servers
    found = [_asked(host, port, seconds) for host, port in servers]
    serving = [words for serves, words in found if serves]
    others = [words for serves, words in found if not serves]
    if not serving:
        raise ConnectionError("; ".join(others))
    return ("warn" if others else "ok"), "; ".join([*serving, *others])


def _asked(host: str, port: int, seconds: float) -> tuple[bool, str]:
    """Whether one server serves, and what it says of itself."""
    try:
        said = _said(host, port, seconds)
    except OSError as error:
        return False, f"{host}:{port} does not answer: {error}"
    version = _VERSION.search(said)
    if version:
        mode = _MODE.search(said)
        return True, f"ZooKeeper {version[1]}, {mode[1] if mode else 'of no known mode'}"
    if "whitelist" in said:
        return True, "ZooKeeper; its version is not told: `srvr` is not in 4lw.commands.whitelist"
    return False, f"{host}:{port} does not serve: {said.strip() or 'it says nothing'}"


def _said(host: str, port: int, seconds: float) -> str:
    with socket.create_connection((host, port), timeout=seconds) as asked:
        asked.sendall(b"srvr")
        parts = []
        while part := asked.recv(8192):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")
