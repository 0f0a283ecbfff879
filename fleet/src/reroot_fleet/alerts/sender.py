"""Sending what the outbox has: each channel for itself, again and again until it is taken.

It runs beside every conductor and beside the page; the memory sees to it that only one of them
sends a message. A channel that fails does not hold up another.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reroot_fleet.alerts.channel import NotSentError
from reroot_fleet.memory import outbox
from reroot_fleet.memory.errors import MemoryFault

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from reroot_fleet.alerts.channel import Channel
    from reroot_fleet.memory.database import Memory

# Longer than any channel takes for a handful of messages.
_LEASE = timedelta(minutes=5)
_HANDFUL = 8
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=5)
_LOOK_SECONDS = 5.0

log = logging.getLogger(__name__)


def pause(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: it doubles, up to five minutes."""
    return min(_FIRST_PAUSE * (1 << min(attempts, 10)), _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what the outbox has."""

    memory: Memory
    channels: Sequence[Channel]
    now: Callable[[], datetime]

    def send_once(self) -> tuple[int, int]:
        """Send everything that is due: how many were taken, and how many were not."""
        taken = refused = 0
        for channel in self.channels:
            with self.memory.begin() as connection:
                messages = outbox.claim(
                    connection, channel.name, now=self.now(), lease=_LEASE, limit=_HANDFUL
                )
            for message in messages:
                if self._send(channel, message):
                    taken += 1
                else:
                    refused += 1
        return taken, refused

    def _send(self, channel: Channel, message: outbox.Message) -> bool:
        try:
            channel.send(message)
        except NotSentError as error:
            again_at = self.now() + pause(message.attempts)
            log.warning("alert %s was not sent by %s: %s", message.key, channel.name, error)
            with self.memory.begin() as connection:
                outbox.failed(
                    connection, message, channel.name, again_at=again_at, error=str(error)
                )
            return False
        with self.memory.begin() as connection:
            outbox.delivered(connection, message, channel.name, now=self.now())
        log.info("alert %s: %s was sent by %s", message.key, message.action, channel.name)
        return True

    def run(self, stop: threading.Event) -> None:
        """Send until stopped. A memory that does not answer is asked again."""
        while not stop.wait(_LOOK_SECONDS):
            try:
                self.send_once()
            except MemoryFault as fault:
                log.warning("alerts wait: %s", fault)
