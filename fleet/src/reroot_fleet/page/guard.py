"""Who may see the page, and whose name a pause or a halt carries.

Two ways in: a reverse proxy that has logged the person in and says who it is in a header, believed
from the proxy's address only; or the token, once, for a signed cookie. A request that changes
something has to come from the page itself.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from reroot_fleet.values.settings import PageSettings

COOKIE = "reroot_fleet"
LASTS_SECONDS = 16 * 3600
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Guard:
    """Knows who a request is of."""

    token: str
    header: str
    proxies: tuple[str, ...]
    public_metrics: bool

    def who(self, request: Request) -> str | None:
        """The person of a request, or nobody."""
        if self.header and request.client is not None and request.client.host in self.proxies:
            name = request.headers.get(self.header, "").strip()
            if name:
                return name[:_LONGEST_NAME]
        return self._of_cookie(request.cookies.get(COOKIE, "")) if self.token else None

    def knows(self, token: str) -> bool:
        """Whether it is the token; told in the same time whatever it is."""
        return bool(self.token) and hmac.compare_digest(token.encode(), self.token.encode())

    def cookie(self, name: str, now: float | None = None) -> str:
        """The cookie of a person who has given the token."""
        until = int((time.time() if now is None else now) + LASTS_SECONDS)
        text = f"{quote(name[:_LONGEST_NAME], safe='')}.{until}"
        return f"{text}.{self._signature(text)}"

    def may_scrape(self, request: Request) -> bool:
        """Whether a request may have the metrics."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return self.public_metrics or self.knows(bearer) or self.who(request) is not None

    def _of_cookie(self, cookie: str) -> str | None:
        text, _, signature = cookie.rpartition(".")
        name, _, until = text.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        return unquote(name) if until.isdigit() and int(until) > time.time() else None

    def _signature(self, text: str) -> str:
        key = hashlib.sha256(b"reroot-fleet page " + self.token.encode()).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def guard(settings: PageSettings, token: str) -> Guard:
    """The guard of these settings; without a way in there is no page."""
    if not token and not settings.user_header:
        raise Problem(
            "open the page",
            "nobody could log in: the settings name neither page.token_file nor page.user_header",
            then="write a long random token to a file only the page's user may read, and name it",
        )
    return Guard(token, settings.user_header, settings.proxies, settings.public_metrics)


def from_the_page_itself(request: Request) -> bool:
    """Whether a form was sent by our own page, not by somebody else's with our cookie."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
