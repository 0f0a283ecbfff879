"""What can go wrong between a conductor and a machine, as far as somebody acts on it."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Kinds of it."""

    REFUSED = "refused"
    """Nothing listens: it is booting, or its ssh server does not run."""
    SILENT = "silent"
    """No answer in the time that was given: gone, hung, or a connection that is half open."""
    BROKEN = "broken"
    """ssh ended in the middle: what was asked may have been done."""
    HOST_KEY = "host key"
    """Another key than the known one answered. Nothing is ever said to it."""
    LOGIN = "login"
    """It does not let us in."""
    NONSENSE = "nonsense"
    """It answered something that this program does not understand."""
    COPY = "copy"
    """A copy did not come to its end; what is there is kept and gone on with."""
    LOCAL = "local"
    """A program is missing here, or a file."""


PASSING: frozenset[Fault] = frozenset({Fault.REFUSED, Fault.SILENT, Fault.BROKEN, Fault.COPY})
"""Those that trying again may mend. The others want a person."""


class MachineFault(Exception):  # noqa: N818 - the word of the subject
    """A question to a machine that was not answered."""

    def __init__(self, kind: Fault, attempted: str, why: str) -> None:
        super().__init__(f"{attempted}: {why}")
        self.kind = kind

    @property
    def passing(self) -> bool:
        """Whether trying again may mend it."""
        return self.kind in PASSING
