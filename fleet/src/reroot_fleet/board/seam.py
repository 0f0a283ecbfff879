"""What a conductor asks of a board, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


class BoardFault(Exception):  # noqa: N818 - the word of the subject
    """The board does not answer, or not as it should. Nothing of the memory is lost with it."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A job on the board."""

    job: str
    """The job's id."""
    handle: Any = field(compare=False, hash=False)
    """TaskFlow's job."""


class Board(Protocol):
    """A board. Every call may raise `BoardFault`."""

    ttl_s: float
    """How long a claim lives that nobody renews."""

    def post(self, job: str) -> bool:
        """Posts a job; false where it is there already."""

    def listed(self) -> frozenset[str]:
        """The ids of all jobs on the board, claimed or not."""

    def free(self) -> tuple[Posting, ...]:
        """Those that nobody has claimed, the longest waiting first."""

    def claim(self, posting: Posting) -> bool:
        """Claims one; false where somebody was faster or it is gone."""

    def renew(self, postings: Collection[Posting]) -> frozenset[str]:
        """Renews claims; the ids of those that are not ours any more."""

    def consume(self, posting: Posting) -> None:
        """Takes a job of ours off the board; one that is not there or not ours is left alone."""

    def abandon(self, posting: Posting) -> None:
        """Gives a claim of ours back."""

    def close(self) -> None:
        """Ends the connection."""
