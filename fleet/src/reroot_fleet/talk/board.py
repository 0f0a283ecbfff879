"""Looking at the board by day: does it answer, and does it keep what it is told."""

from __future__ import annotations

import redis

from reroot_fleet.talk import zookeeper

_SECONDS = 5


def look_at_board(address: str) -> tuple[str, str]:
    """How the board is, and in which words; raises whatever its library raises."""
    scheme = address.partition(":")[0]
    if scheme in {"redis", "rediss"}:
        return _redis(address)
    if scheme == "zookeeper":
        return zookeeper.look(address, _SECONDS)
    return "bad", f"{scheme or address} is no board; there are redis:// and zookeeper://"


def _redis(address: str) -> tuple[str, str]:
    with redis.Redis.from_url(address, socket_timeout=_SECONDS) as client:
        info = client.info("persistence")
        version = client.info("server")["redis_version"]
    if not int(info["aof_enabled"]):
        return "bad", (
            f"Redis {version} has `appendonly no`: a restart loses postings; set it to yes"
            " (the reconciler posts them again, some seconds later)"
        )
    return "ok", f"Redis {version}, append-only file on"
