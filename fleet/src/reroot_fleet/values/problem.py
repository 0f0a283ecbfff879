"""An error for people: what was attempted, on what, why, what is intact, what to do next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where bad input stands: a file, its line (from 1), a host."""

    file: str | None = None
    line: int | None = None
    host: str | None = None

    def __str__(self) -> str:
        """Render as `FILE:LINE: host NAME`."""
        parts = []
        if self.file is not None:
            parts.append(self.file if self.line is None else f"{self.file}:{self.line}")
        if self.host is not None:
            parts.append(f"host {self.host}")
        return ": ".join(parts)


class Problem(Exception):  # noqa: N818 - it is the word that people read
    """Something that could not be done; its text is for the person who has to act."""

    def __init__(
        self,
        attempted: str,
        why: str,
        *,
        at: Place | None = None,
        intact: str = "nothing was changed",
        then: str = "",
    ) -> None:
        self.attempted = attempted
        self.why = why
        self.at = at or Place()
        self.intact = intact
        self.then = then
        super().__init__(self.text())

    def text(self) -> str:
        """Everything in one line."""
        place = str(self.at)
        head = (
            f"{place}: {self.attempted}: {self.why}" if place else f"{self.attempted}: {self.why}"
        )
        tail = [t for t in (self.intact, self.then) if t]
        return f"{head} ({'; '.join(tail)})" if tail else head


class Problems(Exception):  # noqa: N818
    """Several at once: bad input is told whole, not one error a try."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(p.text() for p in problems))
