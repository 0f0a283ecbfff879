"""PagerDuty, Events API version 2: trigger, acknowledge and resolve by a stable key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from reroot_fleet.alerts.channel import NotSentError, link

if TYPE_CHECKING:
    from reroot_fleet.memory.outbox import Message

# PagerDuty's own limit; longer ones are refused.
_SUMMARY = 1024
_KEY = 255
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """One service of PagerDuty."""

    routing_key: str
    address: str
    page: str
    transport: httpx.BaseTransport | None = None

    name = "pagerduty"

    def event(self, message: Message) -> dict[str, Any]:
        """What is sent for a message."""
        event: dict[str, Any] = {
            "routing_key": self.routing_key,
            "event_action": str(message.action),
            "dedup_key": f"reroot-fleet/{message.key}"[:_KEY],
        }
        if message.action == "trigger":
            where = link(self.page, message)
            event |= {
                "client": "reroot-fleet",
                "client_url": where,
                "links": [{"href": where, "text": "why"}],
                "payload": {
                    "summary": message.summary[:_SUMMARY],
                    "source": message.host or message.night or "reroot-fleet",
                    "severity": message.severity,
                    "timestamp": message.at.isoformat(),
                    "component": "reroot-fleet",
                    "group": message.night or "",
                    "custom_details": dict(message.detail),
                },
            }
        return event

    def send(self, message: Message) -> None:
        """Send it."""
        self._post(self.event(message))

    def test(self) -> str:
        """Resolve a key that was never triggered: it proves the routing key and wakes nobody."""
        event = {
            "routing_key": self.routing_key,
            "event_action": "resolve",
            "dedup_key": "reroot-fleet/doctor",
        }
        self._post(event)
        return "PagerDuty takes the routing key"

    def _post(self, event: dict[str, Any]) -> None:
        """Post it; 202 is the only answer that says it was taken."""
        try:
            with httpx.Client(timeout=_SECONDS, transport=self.transport) as client:
                answer = client.post(self.address, json=event)
        except httpx.HTTPError as error:
            raise NotSentError(f"PagerDuty does not answer: {type(error).__name__}") from error
        if answer.status_code != httpx.codes.ACCEPTED:
            raise NotSentError(_why(answer))


def _why(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return "PagerDuty refuses the event or the routing key (HTTP 400); correct the key's file"
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return "PagerDuty asks for patience (HTTP 429)"
    return f"PagerDuty answers HTTP {answer.status_code}"
