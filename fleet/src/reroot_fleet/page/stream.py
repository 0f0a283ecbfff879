"""Server-sent events: that something happened, and what number the log has reached.

What is sent is a number, not the page: who gets it asks for the page again. A stream ends after a
while and the browser comes back by itself; so a proxy that buffers, or a page that was forgotten,
costs little.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from reroot_fleet.memory import events
from reroot_fleet.memory.errors import MemoryFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reroot_fleet.memory.database import Memory

LOOK_SECONDS = 1.0
# A comment keeps proxies from cutting a quiet stream; and windows and deadlines move by themselves.
QUIET_LOOKS = 15
LOOKS = 600


async def stream(memory: Memory, last: int, *, looks: int = LOOKS) -> AsyncIterator[str]:
    """The stream for who has seen the log up to a number."""
    yield "retry: 3000\n\n"
    quiet = 0
    for _ in range(looks):
        number = await run_in_threadpool(_last, memory)
        quiet += 1
        if number is not None and number != last:
            last, quiet = number, 0
            yield f"id: {number}\nevent: changed\ndata: {number}\n\n"
        elif quiet >= QUIET_LOOKS:
            quiet = 0
            yield f"id: {last}\nevent: changed\ndata: {last}\n\n"
        await asyncio.sleep(LOOK_SECONDS)


def _last(memory: Memory) -> int | None:
    try:
        with memory.read() as c:
            return events.last_number(c)
    except MemoryFault:
        # The page itself tells of it; the stream waits for the database to come back.
        return None
