"""`reroot-fleet page`: serve the night's page, send alerts, and watch over the conductors."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from reroot_fleet.alerts.channels import channels, secret
from reroot_fleet.alerts.metrics import registry
from reroot_fleet.alerts.sender import Sender
from reroot_fleet.alerts.watchdog import watch
from reroot_fleet.memory import conductors, nights, outbox
from reroot_fleet.memory.database import IDLE_S, open_memory
from reroot_fleet.memory.errors import MemoryFault
from reroot_fleet.page.app import app
from reroot_fleet.page.guard import guard
from reroot_fleet.talk import fleet, logs
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from reroot_fleet.memory.database import Memory

_WATCH_SECONDS = 20.0

log = logging.getLogger(__name__)


def page(
    *,
    listen: Annotated[
        str | None, typer.Option(help="ADDRESS:PORT instead of the settings'.")
    ] = None,
) -> None:
    """Serve the page and the metrics, send alerts, and tell when no conductor is alive."""
    settings = fleet.settings()
    token = secret(settings.page.token_file) if settings.page.token_file else ""
    keeper = guard(settings.page, token)
    address, _, port = (listen or settings.page.listen).rpartition(":")
    if not address or not port.isdigit():
        raise Problem("serve the page", f"`{listen or settings.page.listen}` is no ADDRESS:PORT")
    logs.set_up(plain=sys.stderr.isatty())
    memory = open_memory(settings.database, idle_s=IDLE_S)
    ways = channels(settings)
    stop = threading.Event()
    threads = [
        threading.Thread(target=Sender(memory, ways, fleet.now).run, args=(stop,), daemon=True),
        threading.Thread(target=_watch, args=(memory, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    served = app(memory, keeper, fleet.now, registry(memory, fleet.now, ways))
    log.info("the page is served on http://%s:%s", address, port)
    try:
        # The proxy's address has to be seen as it is: forwarded headers are not believed here.
        uvicorn.run(
            served,
            host=address.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
    finally:
        stop.set()


def _watch(memory: Memory, stop: threading.Event) -> None:
    while not stop.wait(_WATCH_SECONDS):
        try:
            with memory.begin() as c:
                found = watch(nights.every(c), conductors.every(c), fleet.now())
                outbox.put(c, found, who="page")
        except MemoryFault as fault:
            log.warning("the conductors are not watched: %s", fault)
