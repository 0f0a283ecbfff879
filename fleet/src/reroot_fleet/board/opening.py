"""Which board an address names, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from reroot_fleet.board.seam import Board

KINDS = "redis://, rediss:// and zookeeper://"


def open_board(
    address: str, who: str, *, ttl_s: float = 15.0, namespace: str = "reroot-fleet"
) -> Board:
    """Opens it; `namespace` parts several fleets in one Redis, as the path does in a ZooKeeper.

    Each board's libraries are loaded only where it is the one: they are many.
    """
    scheme = address.partition(":")[0]
    if scheme in {"redis", "rediss"}:
        return _redis(address, who, ttl_s, namespace)
    if scheme == "zookeeper":
        return _zookeeper(address, who, ttl_s)
    raise Problem(
        "open the board",
        f"{scheme or address} is no board that a conductor knows; there are {KINDS}",
    )


def _redis(address: str, who: str, ttl_s: float, namespace: str) -> Board:
    from reroot_fleet.board.redis_board import RedisBoard  # noqa: PLC0415 - as above

    parts = urlsplit(address)
    options: dict[str, object] = {"ssl": parts.scheme == "rediss"}
    if parts.password:
        options["password"] = parts.password
    if parts.username:
        options["username"] = parts.username
    if parts.path.strip("/"):
        options["db"] = int(parts.path.strip("/"))
    return RedisBoard(
        who,
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        ttl_s=ttl_s,
        namespace=namespace,
        options=options,
    )


def _zookeeper(address: str, who: str, ttl_s: float) -> Board:
    from reroot_fleet.board import zookeeper_address  # noqa: PLC0415 - as above
    from reroot_fleet.board.zookeeper_board import ZookeeperBoard  # noqa: PLC0415 - as above

    where = zookeeper_address.parse(address)
    return ZookeeperBoard(who, hosts=where.hosts, path=where.path, ttl_s=ttl_s)
