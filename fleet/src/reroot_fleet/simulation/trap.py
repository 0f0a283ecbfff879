"""Kills or stops this process at one of its writes: before it or behind it.

The seams of a conductor (memory, board, machine, hooks) are wrapped, and every write through them is
numbered. Nothing of this is in the conductor: the wrappers are put in by the simulation's process.

Modes are `kill-before`, `kill-after`, `stop-before` and `stop-after`; a trace writes the names of the
writes down, one a line.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reroot_fleet.board.seam import Board
    from reroot_fleet.machine.seam import Hooks, Machine
    from reroot_fleet.memory.database import Memory

MACHINE_WRITES = frozenset({"copy", "rehearse", "go"})
BOARD_WRITES = frozenset({"post", "claim", "consume", "abandon"})


class Trap:
    """Counts writes, and springs at one of them."""

    def __init__(self, mode: str, number: int, trace: str | None) -> None:
        self._when, self._how = mode.partition("-")[2], mode.partition("-")[0]
        self._number = number
        self._trace = trace
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def write(self, name: str) -> Iterator[None]:
        """One write."""
        with self._lock:
            self._count += 1
            mine = self._count == self._number
            if self._trace:
                with open(self._trace, "a", encoding="utf-8") as out:  # noqa: PTH123 - as it is
                    out.write(f"{name}\n")
        if mine and self._when == "before":
            self._spring()
        yield
        if mine and self._when == "after":
            self._spring()

    def _spring(self) -> None:
        if self._trace:
            with open(self._trace, "a", encoding="utf-8") as out:  # noqa: PTH123 - as it is
                out.write("SPRUNG\n")
        os.kill(os.getpid(), signal.SIGKILL if self._how == "kill" else signal.SIGSTOP)

    # -- the seams ----------------------------------------------------------------------------

    def machine(self, machine: Machine) -> Machine:
        """A machine whose writes are counted."""
        return _Wrapped(machine, self, "machine", MACHINE_WRITES)

    def hooks(self, hooks: Hooks) -> Hooks:
        """Hooks that are counted."""
        return _Wrapped(hooks, self, "hook", frozenset({"call"}))

    def board(self, board: Board) -> Board:
        """A board whose writes are counted."""
        return _Wrapped(board, self, "board", BOARD_WRITES)

    def memory(self, memory: Memory) -> Memory:
        """A memory whose writing transactions are counted, at their commit."""
        engine = memory.engine
        wrote = threading.local()
        commit = engine.dialect.do_commit

        @event.listens_for(engine, "begin")
        def _begun(_conn: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
            wrote.tables = []

        @event.listens_for(engine, "before_cursor_execute")
        def _executes(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:  # noqa: ANN401
            words = statement.split(None, 3)
            if words and words[0] in {"INSERT", "UPDATE"}:
                wrote.tables.append(words[2] if words[0] == "INSERT" else words[1])

        def counted(connection: Any) -> None:  # noqa: ANN401 - the driver's
            tables = dict.fromkeys(getattr(wrote, "tables", []))
            # Signs of life, turns and sightings are written by the clock, and not by a job's life.
            if not tables or tables.keys() & {"conductors", "turns", "sightings"}:
                commit(connection)
                return
            with self.write("memory " + "+".join(tables)):
                commit(connection)

        engine.dialect.do_commit = counted  # type: ignore[method-assign, assignment]
        return memory


class NoTrap:
    """What a process has that nobody wants to kill."""

    def machine(self, machine: Machine) -> Machine:
        """As it is."""
        return machine

    def hooks(self, hooks: Hooks) -> Hooks:
        """As they are."""
        return hooks

    def board(self, board: Board) -> Board:
        """As it is."""
        return board

    def memory(self, memory: Memory) -> Memory:
        """As it is."""
        return memory


class _Wrapped:
    """An object some of whose calls are writes."""

    def __init__(self, inner: object, trap: Trap, kind: str, writes: frozenset[str]) -> None:
        self._inner = inner
        self._trap = trap
        self._kind = kind
        self._writes = writes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner one has
        found = getattr(self._inner, name)
        if name not in self._writes:
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
            word = args[0] if self._kind == "hook" else name
            with self._trap.write(f"{self._kind} {word}"):
                return found(*args, **kwargs)

        return counted


def of(asked: str | None, trace: Path | None) -> Trap | NoTrap:
    """What a test asks for: `MODE:NUMBER`, and a file for the names of the writes."""
    if not asked and trace is None:
        return NoTrap()
    mode, _, number = (asked or "kill-before:0").partition(":")
    return Trap(mode, int(number), None if trace is None else str(trace))
