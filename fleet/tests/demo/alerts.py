"""Who is woken up: a program that listens for the fleet's webhook and says what it was told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.demo.said import say


class _Taken(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        told: dict[str, Any] = json.loads(self.rfile.read(length))
        self.server.told.append(told)  # type: ignore[attr-defined]
        say(f"    alert  {told['action']}: {told['summary']}")
        self.send_response(204)
        self.end_headers()

    def do_HEAD(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's word
        """It says what matters itself."""


class Listener:
    """Listens on a port of loopback."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Taken)
        self.told: list[dict[str, Any]] = []
        self._server.told = self.told  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """For the settings."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
