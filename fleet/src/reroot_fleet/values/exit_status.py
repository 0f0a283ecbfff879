"""How a `.reroot` file ends."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of the program on the machine."""

    DONE = 0
    """Done; for `go`: begun, or attached to the run of that id."""
    REFUSED = 1
    """A check refused; nothing was changed."""
    USAGE = 2
    REVERTED = 3
    """Failed and undone; nothing was changed."""
    NEEDS_A_PERSON = 4
    FENCED = 5
    """`--after` is not the newest run on the machine."""
    OTHER_CONSENT = 6
    """The plan resolves to something else than was consented to."""
    STILL_RUNS = 7
    """`wait`: the time of `--timeout` is over and the run goes on."""


SSH_FAILED = 255
"""ssh's own status. Where it ends a `go`, it says *unknown*, never *not begun*."""
