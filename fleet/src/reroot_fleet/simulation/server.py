"""The world as a process of its own, so that machines outlive the conductors that are killed.

Questions and answers are pickled through a Unix socket in a private directory: both ends are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from reroot_fleet.simulation.world import World

_LENGTH = struct.Struct("!I")


def serve(world: World, socket: Path, begun: float, scale: float) -> None:
    """Answers until it is ended."""
    asyncio.run(_serve(world, socket, begun, scale))


async def _serve(world: World, socket: Path, begun: float, scale: float) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                question = pickle.loads(await _packet(reader))  # noqa: S301 - our own socket
                now = (time.time() - begun) * scale
                writer.write(packed(_answer(world, question, now)))
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(connection, str(socket))
    async with server:
        await server.serve_forever()


def _answer(world: World, question: tuple[Any, ...], now: float) -> Any:  # noqa: ANN401
    if question[0] == "seen":
        return world.seen()
    host, op, args = question
    return world.ask(host, op, args, now)


async def _packet(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)


def packed(value: object) -> bytes:
    """A value, with its length before it."""
    body = pickle.dumps(value)
    return _LENGTH.pack(len(body)) + body
