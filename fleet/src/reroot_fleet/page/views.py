"""The page's views: each reads the memory once and renders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from reroot_fleet.alerts.watchdog import alive
from reroot_fleet.memory import events, jobs, machines, nights, orders, sightings, surveys
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.memory.look import look
from reroot_fleet.page import drawings
from reroot_fleet.page.guard import COOKIE, LASTS_SECONDS, from_the_page_itself
from reroot_fleet.page.render import clock, templates
from reroot_fleet.policy.why import next_step
from reroot_fleet.values.atoms import ORDER
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.night import Night, NightState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection
    from starlette.requests import Request

    from reroot_fleet.memory.database import Memory
    from reroot_fleet.page.guard import Guard

_RECENT = 60
SVG = "image/svg+xml"


@dataclass(frozen=True, slots=True)
class Views:
    """Everything that can be asked of the page."""

    memory: Memory
    guard: Guard
    now: Callable[[], datetime]

    # -- reading ------------------------------------------------------------------------------

    def newest(self, request: Request) -> Response:
        """The night that people mean: the newest one that was started."""
        del request
        with self.memory.read() as c:
            every = nights.every(c)
        if not every:
            return self._page("empty.html", title="No night", night=None)
        started = [n for n in every if n.state is not NightState.PLANNED]
        return RedirectResponse(f"/nights/{(started or every)[0].id}", 303)

    def nights(self, request: Request) -> Response:
        """All nights."""
        del request
        with self.memory.read() as c:
            rows = [(n, jobs.counts(c, night=n.id)) for n in nights.every(c)]
        return self._page("nights.html", title="Nights", rows=rows, night=None)

    def night(self, request: Request) -> Response:
        """One night: its tree, budget, window, what is stuck, and what happened last."""
        with self.memory.read() as c:
            night = nights.get(c, request.path_params["night"])
            if night is None:
                return self._missing("night")
            found = look(c, night, self.now())
            recent = events.latest(c, night=night.id, limit=_RECENT)
            last = events.last_number(c)
        return self._page(
            "night.html",
            title=f"Night {night.id}",
            night=night,
            view=found.overview,
            living=alive(found.conductors, self.now()),
            conductors=found.conductors,
            alerts=found.alerts,
            recent=recent,
            last=last,
            part=request.headers.get("x-part") == "main",
        )

    def machine(self, request: Request) -> Response:
        """Everything known about one machine, in order."""
        host = request.path_params["host"]
        with self.memory.read() as c:
            machine = machines.get(c, host)
            if machine is None:
                return self._missing("machine")
            attempts = sorted(jobs.select(c, host=host), key=lambda j: (j.night, j.attempt))
            log = events.read(c, host=host)
            survey = next(iter(surveys.latest(c, host=host)), None)
            night = nights.get(c, attempts[-1].night) if attempts else None
            seen = sightings.of_night(c, night.id).get(attempts[-1].id) if night else None
            last = events.last_number(c)
        return self._page(
            "machine.html",
            title=host,
            host=machine,
            night=night,
            attempts=attempts,
            job=attempts[-1] if attempts else None,
            log=log[::-1],
            survey=survey,
            seen=seen,
            steps=ORDER,
            do_next=next_step(host, attempts[-1].state) if attempts else None,
            last=last,
            part=request.headers.get("x-part") == "main",
        )

    def report(self, request: Request) -> Response:
        """The morning after."""
        return self._drawn(request, drawings.report, "text/html")

    def tree(self, request: Request) -> Response:
        """The night as a tree."""
        return self._drawn(request, drawings.tree, SVG)

    def run(self, request: Request) -> Response:
        """One machine's run, drawn."""
        host = request.path_params["host"].removesuffix(".svg")
        with self.memory.read() as c:
            drawn = drawings.run(c, host, self.now())
        return Response(drawn, media_type=SVG) if drawn else self._missing("run")

    def _drawn(
        self, request: Request, draw: Callable[[Connection, Night, datetime], str], kind: str
    ) -> Response:
        with self.memory.read() as c:
            night = nights.get(c, request.path_params["night"])
            if night is None:
                return self._missing("night")
            return Response(draw(c, night, self.now()), media_type=kind)

    # -- changing -----------------------------------------------------------------------------

    def stop(self, request: Request, form: dict[str, str], verb: str) -> Response:
        """Pause or halt a night."""
        who = self.guard.who(request)
        if who is None or not from_the_page_itself(request):
            return PlainTextResponse("sent by another page: refused; nothing was changed", 403)
        why = form.get("why", "").strip()
        name = request.path_params["night"]
        if not why:
            return self._refused(name, f"{verb} the night {name}: a reason is needed")
        if verb == "halt" and form.get("sure") != "yes":
            return self._refused(name, "a halt is for good: tick the box; nothing was changed")
        order = orders.pause if verb == "pause" else orders.halt
        now = self.now()
        try:
            with self.memory.begin() as c:
                detail = {"command": f"{verb}, on the page"}
                events.append(
                    c, Event(now, who, What.OPERATOR_COMMAND, night=name, why=why, detail=detail)
                )
                order(c, name, now=now, who=who, why=why)
        except Conflict as conflict:
            return self._refused(name, str(conflict))
        return RedirectResponse(f"/nights/{name}", 303)

    # -- logging in ---------------------------------------------------------------------------

    def ask(self, request: Request) -> Response:
        """Ask for the token."""
        return self._page("login.html", title="Log in", night=None, to=_to(request), wrong=False)

    def enter(self, request: Request, form: dict[str, str]) -> Response:
        """Take the token, give a cookie."""
        name = form.get("name", "").strip()
        if not from_the_page_itself(request):
            return PlainTextResponse("sent by another page: refused", 403)
        if not name or not self.guard.knows(form.get("token", "")):
            page = partial(self._page, "login.html", title="Log in", night=None)
            return page(to=_to(request), wrong=True, status=403)
        answer = RedirectResponse(_to(request), 303)
        answer.set_cookie(
            COOKIE,
            self.guard.cookie(name),
            max_age=LASTS_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    # -- answers ------------------------------------------------------------------------------

    def _page(self, template: str, *, status: int = 200, **values: object) -> Response:
        values.setdefault("part", False)
        night = values.get("night")
        assert night is None or isinstance(night, Night)  # noqa: S101 - of this file's own making
        text = (
            templates()
            .get_template(template)
            .render(clock=partial(clock, night), now=self.now(), **values)
        )
        return HTMLResponse(text, status)

    def _missing(self, what: str) -> Response:
        return self._page(
            "refused.html",
            title="Not found",
            night=None,
            status=404,
            back="/",
            why=f"there is no {what} of that name",
        )

    def _refused(self, night: str, why: str) -> Response:
        return self._page(
            "refused.html",
            title="Refused",
            night=None,
            status=409,
            back=f"/nights/{night}",
            why=why,
        )


def _to(request: Request) -> str:
    """Where to go after the login: only ever a path of this page."""
    to = request.query_params.get("to", "/")
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
