"""Serves a painted night on a port, for a person who wants to look: `python -m tests.page.look`."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime

import uvicorn

from reroot_fleet.alerts.metrics import registry
from reroot_fleet.memory.database import open_memory
from reroot_fleet.page.app import app
from reroot_fleet.page.guard import Guard
from tests.page.scene import paint


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        memory = open_memory(f"sqlite:///{directory}/fleet.sqlite")
        paint(memory, now(), int(sys.argv[2]) if len(sys.argv) > 2 else 48)
        guard = Guard("token", "x-remote-user", ("127.0.0.1",), public_metrics=True)
        uvicorn.run(
            app(memory, guard, now, registry(memory, now)),
            host="127.0.0.1",
            port=int(sys.argv[1]),
            proxy_headers=False,
            log_level="warning",
        )
