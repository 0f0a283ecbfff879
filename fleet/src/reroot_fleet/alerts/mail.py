"""Mail, through a server that takes it. A trigger and its resolve are one thread."""

from __future__ import annotations

import hashlib
import smtplib
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from reroot_fleet.alerts.channel import NotSentError, link

if TYPE_CHECKING:
    from reroot_fleet.memory.outbox import Message

_SECONDS = 20
_SUBJECT = 120
_SAYS = {"trigger": "", "acknowledge": "acknowledged: ", "resolve": "resolved: "}


@dataclass(frozen=True, slots=True)
class Mail:
    """A server, and who gets mail."""

    server: str
    sender: str
    to: tuple[str, ...]
    page: str

    name = "mail"

    def letter(self, message: Message) -> EmailMessage:
        """What is sent for a message."""
        letter = EmailMessage()
        subject = f"[reroot] {_SAYS[message.action]}{message.summary}"
        letter["Subject"] = " ".join(subject.split())[:_SUBJECT]
        letter["From"] = self.sender
        letter["To"] = ", ".join(self.to)
        letter["Date"] = format_datetime(message.at)
        thread = hashlib.sha256(message.key.encode()).hexdigest()[:24]
        letter["Message-ID"] = f"<{thread}.{message.number or 0}@reroot-fleet>"
        letter["References"] = f"<{thread}@reroot-fleet>"
        letter["Auto-Submitted"] = "auto-generated"
        lines = [message.summary, "", link(self.page, message), ""]
        lines += [f"{name}: {value}" for name, value in sorted(message.detail.items())]
        letter.set_content("\n".join(lines))
        return letter

    def send(self, message: Message) -> None:
        """Hand it to the server."""
        try:
            with self._connected() as server:
                server.send_message(self.letter(message))
        except (OSError, smtplib.SMTPException) as error:
            raise NotSentError(f"the mail server {self.server} did not take it: {error}") from error

    def test(self) -> str:
        """Whether the server answers; nothing is sent."""
        try:
            with self._connected() as server:
                server.noop()
        except (OSError, smtplib.SMTPException) as error:
            raise NotSentError(f"the mail server {self.server} does not answer: {error}") from error
        return "the mail server answers"

    def _connected(self) -> smtplib.SMTP:
        host, _, port = self.server.partition(":")
        return smtplib.SMTP(host, int(port or "25"), timeout=_SECONDS)
