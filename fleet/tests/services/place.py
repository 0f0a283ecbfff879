"""A place for boards that nobody else has, of each kind, and how to empty it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis
from kazoo.client import KazooClient

from reroot_fleet.board.opening import open_board
from reroot_fleet.board.zookeeper_board import ZookeeperBoard

if TYPE_CHECKING:
    from reroot_fleet.board.seam import Board


def end_session(board: ZookeeperBoard) -> None:
    """As the servers do when they have not heard of it for too long."""
    client = board._client
    other = KazooClient(",".join(f"{h}:{p}" for h, p in client.hosts), client_id=client.client_id)
    other.start()
    other.stop()
    other.close()


@dataclass
class Place:
    """Where the boards are."""

    kind: str
    address: str
    namespace: str = field(default_factory=lambda: uuid.uuid4().hex)
    opened: list[Board] = field(default_factory=list)

    def board(self, who: str, ttl_s: float = 60.0) -> Board:
        board = open_board(self.address, who, ttl_s=ttl_s, namespace=self.namespace)
        self.opened.append(board)
        return board

    @property
    def short_s(self) -> float:
        """The life of claims that end by themselves; those in ZooKeeper are ended."""
        return 1.0 if self.kind == "redis" else 60.0

    def lose(self) -> None:
        """Everything that is on it."""
        if self.kind == "redis":
            with redis.Redis.from_url(self.address) as client:
                client.flushall()
            return
        hosts, path = self.address.removeprefix("zookeeper://").split("/", 1)
        client = KazooClient(hosts)
        client.start()
        client.delete(f"/{path}", recursive=True)
        client.stop()
        client.close()

    def die(self, board: Board) -> None:
        """A claim in Redis ends by itself where nobody renews it, one in ZooKeeper with its session."""
        if isinstance(board, ZookeeperBoard):
            end_session(board)

    def close(self) -> None:
        for board in self.opened:
            board.close()
