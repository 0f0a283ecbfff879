"""The page's addresses, and what holds for all of them: a login, and headers that allow little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from reroot_fleet.memory.errors import MemoryFault
from reroot_fleet.page.stream import stream
from reroot_fleet.page.views import Views

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from reroot_fleet.memory.database import Memory
    from reroot_fleet.page.guard import Guard

_OPEN_PATHS = ("/login", "/static/", "/healthz", "/metrics")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self' 'unsafe-inline';"
    " script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self';"
    " frame-src 'self'; frame-ancestors 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """What is not a plain view: forms, the stream, and what programs ask."""

    memory: Memory
    guard: Guard
    views: Views
    registry: CollectorRegistry

    async def login(self, request: Request) -> Response:
        if request.method == "POST":
            return await run_in_threadpool(self.views.enter, request, await _form(request))
        return self.views.ask(request)

    async def pause(self, request: Request) -> Response:
        return await run_in_threadpool(self.views.stop, request, await _form(request), "pause")

    async def halt(self, request: Request) -> Response:
        return await run_in_threadpool(self.views.stop, request, await _form(request), "halt")

    async def live(self, request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("last", "0")
        return StreamingResponse(
            stream(self.memory, int(seen) if seen.isdigit() else 0),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    def metrics(self, request: Request) -> Response:
        if not self.guard.may_scrape(request):
            return PlainTextResponse("give the page's token as a bearer\n", 401)
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    def health(self, request: Request) -> Response:
        del request
        with self.memory.read() as c:
            c.execute(sa.select(1))
        return PlainTextResponse("ok\n")

    async def only_the_known(
        self, request: Request, then: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Send strangers to the login; tell of a database that does not answer."""
        path = request.url.path
        if not path.startswith(_OPEN_PATHS) and self.guard.who(request) is None:
            answer: Response = RedirectResponse(f"/login?to={quote(path)}", 303)
            if request.method != "GET":
                answer = PlainTextResponse("log in first; nothing was changed\n", 403)
        else:
            try:
                answer = await then(request)
            except MemoryFault as fault:
                answer = PlainTextResponse(f"{fault}\n", 503, {"retry-after": "5"})
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer


def app(
    memory: Memory, guard: Guard, now: Callable[[], datetime], registry: CollectorRegistry
) -> Starlette:
    """The page."""
    views = Views(memory, guard, now)
    ends = _Endpoints(memory, guard, views, registry)
    return Starlette(
        routes=[
            Route("/", views.newest),
            Route("/login", ends.login, methods=["GET", "POST"]),
            Route("/nights", views.nights),
            Route("/nights/{night}", views.night),
            Route("/nights/{night}/report", views.report),
            Route("/nights/{night}/tree.svg", views.tree),
            Route("/nights/{night}/pause", ends.pause, methods=["POST"]),
            Route("/nights/{night}/halt", ends.halt, methods=["POST"]),
            Route("/machines/{host}", views.machine),
            Route("/machines/{host}/run.svg", views.run),
            Route("/live", ends.live),
            Route("/metrics", ends.metrics),
            Route("/healthz", ends.health),
            Mount("/static", StaticFiles(packages=[("reroot_fleet.page", "static")])),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=ends.only_the_known)],
    )


async def _form(request: Request) -> dict[str, str]:
    """A short form's fields; read without a library for uploads."""
    body = await request.body()
    return dict(parse_qsl(body[:8192].decode("utf-8", "replace")))
