"""A way to a service that can be cut: what is sent then arrives nowhere, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Cut:
    """A port of loopback that leads to another one, while the way is whole."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._whole = threading.Event()
        self._whole.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """From now on nothing passes, in connections that are open and in new ones."""
        self._whole.clear()

    def mend(self) -> None:
        """What was held up passes."""
        self._whole.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._whole.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                threading.Thread(target=self._lead, args=(here,), daemon=True).start()

    def _lead(self, here: socket.socket) -> None:
        self._whole.wait()
        with contextlib.suppress(OSError):
            there = socket.create_connection(("127.0.0.1", self._to))
            back = threading.Thread(target=self._carry, args=(there, here), daemon=True)
            back.start()
            self._carry(here, there)

    def _carry(self, come: socket.socket, go: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := come.recv(65536):
                self._whole.wait()
                go.sendall(data)
        for end in (come, go):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
