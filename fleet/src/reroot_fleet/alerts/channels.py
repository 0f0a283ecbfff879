"""Which channels the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.alerts.mail import Mail
from reroot_fleet.alerts.pagerduty import PagerDuty
from reroot_fleet.alerts.webhook import Webhook
from reroot_fleet.values.problem import Place, Problem

if TYPE_CHECKING:
    from reroot_fleet.alerts.channel import Channel
    from reroot_fleet.values.settings import Settings


def channels(settings: Settings) -> list[Channel]:
    """Every channel that is configured; raises `Problem` where a secret cannot be read."""
    page = settings.page.link.rstrip("/")
    found: list[Channel] = []
    if settings.pagerduty.routing_key_file:
        key = secret(settings.pagerduty.routing_key_file)
        found.append(PagerDuty(key, settings.pagerduty.address, page))
    if settings.webhook.address:
        path = settings.webhook.secret_file
        found.append(Webhook(settings.webhook.address, secret(path) if path else "", page))
    if settings.mail.to:
        mail = settings.mail
        found.append(Mail(mail.server, mail.sender, mail.to, page))
    return found


def secret(path: str) -> str:
    """What a file of one secret has."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
        raise Problem("read a secret", why, at=Place(path)) from error
    if not text:
        raise Problem("read a secret", "the file is empty", at=Place(path))
    return text
