"""The real board and the real machines, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reroot_fleet.board.redis_board import RedisBoard
from reroot_fleet.board.seam import BoardFault
from reroot_fleet.machine.ssh import SshMachine
from reroot_fleet.talk import fleet
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from reroot_fleet.board.seam import Board
    from reroot_fleet.machine.seam import Machine
    from reroot_fleet.values.host import Host


def machine(host: Host) -> Machine:
    """A machine, by ssh."""
    return SshMachine(host)


def board(who: str) -> Board:
    """The board, for who claims on it."""
    address = fleet.settings().board
    parts = urlsplit(address)
    if parts.scheme not in {"redis", "rediss"}:
        raise Problem(
            "open the board", f"{parts.scheme or address} is no board that a conductor knows"
        )
    options: dict[str, object] = {"ssl": parts.scheme == "rediss"}
    if parts.password:
        options["password"] = parts.password
    if parts.username:
        options["username"] = parts.username
    if parts.path.strip("/"):
        options["db"] = int(parts.path.strip("/"))
    try:
        return RedisBoard(
            who, host=parts.hostname or "127.0.0.1", port=parts.port or 6379, options=options
        )
    except BoardFault as fault:
        raise Problem(
            "open the board", str(fault), then="`reroot-fleet doctor` looks at it"
        ) from fault
