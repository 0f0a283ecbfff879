"""Any program that takes JSON over HTTP, signed with a shared secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from reroot_fleet.alerts.channel import NotSentError, link

if TYPE_CHECKING:
    from reroot_fleet.memory.outbox import Message

_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address."""

    address: str
    secret: str
    page: str
    transport: httpx.BaseTransport | None = None

    name = "webhook"

    def body(self, message: Message) -> bytes:
        """What is sent for a message."""
        document = {
            "kind": "reroot-fleet-alert",
            "version": 1,
            "key": message.key,
            "action": str(message.action),
            "severity": message.severity,
            "summary": message.summary,
            "at": message.at.isoformat(),
            "night": message.night,
            "host": message.host,
            "detail": dict(message.detail),
            "link": link(self.page, message),
        }
        return json.dumps(document, sort_keys=True).encode()

    def send(self, message: Message) -> None:
        """Send it; any answer of the two hundreds says that it was taken."""
        body = self.body(message)
        headers = {"content-type": "application/json"}
        if self.secret:
            signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["x-reroot-signature"] = f"sha256={signature}"
        try:
            with httpx.Client(timeout=_SECONDS, transport=self.transport) as client:
                answer = client.post(self.address, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotSentError(f"the webhook does not answer: {type(error).__name__}") from error
        if not answer.is_success:
            raise NotSentError(f"the webhook answers HTTP {answer.status_code}")

    def test(self) -> str:
        """Whether somebody listens there; nothing is sent."""
        try:
            with httpx.Client(timeout=_SECONDS, transport=self.transport) as client:
                client.head(self.address)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotSentError(f"the webhook does not answer: {type(error).__name__}") from error
        return "the webhook's server answers"
