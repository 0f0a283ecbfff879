"""What can go wrong with the memory, as far as a caller or a reader acts on it."""

from __future__ import annotations

from reroot_fleet.values.problem import Problem


class MemoryFault(Problem):
    """The memory cannot be used as it is."""


class NewerSchema(MemoryFault):
    """A later release has been here."""

    def __init__(self, where: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"open the fleet's database {where}",
            f"its schema is {theirs}, and this release of reroot-fleet knows schemas up to {ours}",
            intact="nothing was read or changed",
            then="install the release that made it, or a later one",
        )


class OlderSchema(MemoryFault):
    """An earlier release made it, and nobody has brought it up to date."""

    def __init__(self, where: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"open the fleet's database {where}",
            f"its schema is {theirs}, and this release of reroot-fleet needs {ours}",
            intact="nothing was read or changed",
            then="make a backup, then run `reroot-fleet migrate`; conductors of the earlier"
            " release may go on meanwhile",
        )


class Unreachable(MemoryFault):
    """The database does not answer."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"ask the fleet's database {where}",
            why,
            intact="what was written before is there; jobs go on up to their next write, and"
            " nothing new begins",
            then="start the database, or correct its address",
        )


class Conflict(MemoryFault):
    """A row is not as the caller believed: somebody else was faster, or it never was so."""

    def __init__(self, attempted: str, why: str, then: str = "") -> None:
        super().__init__(attempted, why, intact="it was left as it is", then=then)
