"""A ZooKeeper client whose every wait ends, and that can bind a transaction to a session.

kazoo waits for an answer for as long as it is cut off; it asks whether a server is alive only while
nobody asks anything else, so that one that hangs is never left by who goes on asking; it gives the next
one a whole session's life to greet it; and what was asked in one session may be sent in the next one, in
which nothing of the first holds any more.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, KazooException
from kazoo.handlers.threading import AsyncResult, KazooTimeoutError, SequentialThreadingHandler
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.serialization import Connect
from kazoo.protocol.states import KazooState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BOUND: ContextVar[Fence | None] = ContextVar("bound", default=None)

QUESTIONS = 5
"""In a session's life so many questions can go unanswered, one after the other."""
OPENING_S = 6.0
"""For the first connection at least: nothing is believed in yet."""
SILENT = 0.7
"""Of the longest wait for an answer: then a server that says nothing at all is left for the next."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A node that lives as long as its session: what is checked with it is done in that session."""

    path: str
    session: int


class SessionClient(KazooClient):  # type: ignore[misc]  # kazoo has no types
    """kazoo's client, with ends to its waits."""

    def __init__(self, hosts: str, ttl_s: float) -> None:
        patience_s = ttl_s / QUESTIONS
        retry = {"max_tries": -1, "delay": 0.1, "max_delay": min(1.0, patience_s / 2)}
        super().__init__(hosts, timeout=ttl_s, handler=_Handler(patience_s), connection_retry=retry)
        self._connection = _Connection(self, self._conn_retry.copy(), logger=self.logger)
        self.handler.unanswered = self._connection.leave_if_silent
        self._up = threading.Event()
        self._down_since = time.monotonic()
        self.add_listener(self._changed)

    def _changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._up.set()
        else:
            self._down_since = time.monotonic()
            self._up.clear()

    def open(self) -> float:
        """Connects, and says how long the servers let the session live: not always what was asked."""
        self.start(timeout=max(OPENING_S, self.patience_s * (1 + len(self.hosts))))
        granted: float = self._connection.granted_s
        self.handler.patience_s = min(self.patience_s, granted / QUESTIONS)
        return granted

    @property
    def patience_s(self) -> float:
        """The longest wait for an answer."""
        longest: float = self.handler.patience_s
        return longest

    @property
    def session(self) -> int | None:
        """Which session it is, while it is connected."""
        found = self.client_id
        return None if found is None else int(found[0])

    def need(self) -> int:
        """The session; raises at once where it is cut off, for what is asked then is done at some time."""
        session = self.session
        if session is None:
            raise ConnectionLoss("it is not connected")
        return session

    def is_back(self, within_s: float) -> bool:
        """Whether it is connected, or is again in that time."""
        return self._up.wait(within_s)

    def is_over(self, after_s: float) -> bool:
        """Whether the session has ended, or was cut off for so long that it may have."""
        if self._up.is_set():
            return False
        return bool(self.state == KazooState.LOST) or time.monotonic() - self._down_since >= after_s

    def fence(self, under: str) -> Fence:
        """Makes one, for the session that makes it."""
        path, stat = self.create(
            f"{under}/session-{secrets.token_hex(8)}",
            ephemeral=True,
            makepath=True,
            include_data=True,
        )
        return Fence(path, stat.ephemeralOwner)

    @contextmanager
    def bound(self, fence: Fence) -> Iterator[None]:
        """Transactions that this thread makes meanwhile are of the fence's session, or are not at all."""
        token = _BOUND.set(fence)
        try:
            yield
        finally:
            _BOUND.reset(token)

    def transaction(self) -> Any:  # noqa: ANN401 - kazoo's
        """A transaction; its first part asks for the session that it is bound to."""
        made = super().transaction()
        fence = _BOUND.get()
        if fence is not None:
            made.check(fence.path, -1)
        return made


def gathered(answers: list[Any], end: float | None = None) -> list[Any]:
    """The answers, or the exceptions that are answers; raises where one is not there at that moment.

    Where no moment is said they may take any time, as long as they get on.
    """
    return [_told(answer, end) for answer in answers]


def _told(answer: Any, end: float | None) -> Any:  # noqa: ANN401 - whatever was asked for
    left = None if end is None else max(0.0, end - time.monotonic())
    try:
        return answer.get(timeout=left)
    except KazooException as error:
        return error


class _Answer(AsyncResult):  # type: ignore[misc]
    """An answer that is not waited for without an end."""

    def __init__(self, handler: _Handler) -> None:
        super().__init__(handler)
        self._asked = time.monotonic()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002, ANN401
        """As kazoo's, where a timeout is said."""
        try:
            return super().get(block, self._handler.patience_s if timeout is None else timeout)
        except KazooTimeoutError:
            self._handler.unanswered(self._asked)
            raise


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """Makes such answers, and connections that are there soon or not at all."""

    def __init__(self, patience_s: float) -> None:
        super().__init__()
        self.patience_s = patience_s
        self.unanswered: Callable[[float], None] = lambda _asked: None

    def async_result(self) -> _Answer:
        """For every question."""
        return _Answer(self)

    def create_connection(self, *where: Any, **options: Any) -> Any:  # noqa: ANN401
        """To one server."""
        return super().create_connection(*where, **{**options, "timeout": self.patience_s})


class _Connection(ConnectionHandler):  # type: ignore[misc]
    """Greets one server, soon or not at all, and leaves it where it is silent."""

    granted_s = 0.0
    """The life of the session that the server has granted."""
    _heard = 0.0

    def leave_if_silent(self, asked: float) -> None:
        """Something was asked at that moment and is not answered: where nothing else was heard, either."""
        waited = time.monotonic() - asked
        if self._heard < asked and waited >= SILENT * self.handler.patience_s:
            with suppress(OSError, AttributeError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    def _read_socket(self, read_timeout: float) -> Any:  # noqa: ANN401 - kazoo's
        answer = super()._read_socket(read_timeout)
        self._heard = time.monotonic()
        return answer

    def _invoke(self, timeout: float, request: Any, xid: int | None = None) -> Any:  # noqa: ANN401
        answer = super()._invoke(min(timeout, self.handler.patience_s), request, xid)
        self._heard = time.monotonic()
        if isinstance(request, Connect) and answer[0].time_out > 0:
            self.granted_s = answer[0].time_out / 1000
        return answer
