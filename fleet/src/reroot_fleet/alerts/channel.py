"""A way on which alerts leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reroot_fleet.memory.outbox import Message


class NotSentError(Exception):
    """A message was not taken; it stays in the outbox. The text has no secrets."""


class Channel(Protocol):
    """A way on which alerts leave."""

    @property
    def name(self) -> str:
        """The channel's name in the memory, for ever."""

    def send(self, message: Message) -> None:
        """Send it, or raise `NotSentError`. The same message may be sent twice."""

    def test(self) -> str:
        """Whether it would be taken, as far as can be known without waking anybody: in words."""


def link(base: str, message: Message) -> str:
    """Where a person reads on: the machine's page, or the night's."""
    if message.host is not None:
        return f"{base}/machines/{message.host}"
    return f"{base}/nights/{message.night}" if message.night is not None else base
