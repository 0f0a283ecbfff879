"""The real board and the real machines, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reroot_fleet.board.opening import open_board
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
    try:
        return open_board(fleet.settings().board, who)
    except BoardFault as fault:
        raise Problem(
            "open the board", str(fault), then="`reroot-fleet doctor` looks at it"
        ) from fault
