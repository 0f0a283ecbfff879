"""Machines grouped by why they failed or were refused: what differs from host to host is set aside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from reroot_fleet.values.job import Job, JobState

SET_ASIDE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+\b"), "RUN"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "MAC"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?\b"), "ADDRESS"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b"), "DIGEST"),
    (re.compile(r"/dev/[\w/.-]+"), "/dev/…"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?: UTC|Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b\d[\d,.]*(?= ?(?:[KMGT]i?B|bytes|s|min|h|%)\b)"), "N"),
    (re.compile(r"(?<![\w.])\d+(?![\w.])"), "N"),
)
"""What differs between machines and says nothing of the cause; in this order."""

NONE = "nothing is known of the cause"


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause and the machines that it befell."""

    what: str
    """As the first machine told it."""
    pattern: str
    """The same without what differs."""
    states: tuple[JobState, ...]
    jobs: tuple[Job, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(j.host for j in self.jobs)


def pattern(cause: str, host: str = "") -> str:
    """A cause without what differs from machine to machine."""
    text = re.sub(rf"\b{re.escape(host)}\b", "HOST", cause) if host else cause
    for found, word in SET_ASIDE:
        text = found.sub(word, text)
    return " ".join(text.split())


def by_cause(jobs: Iterable[Job], states: Iterable[JobState]) -> tuple[Cause, ...]:
    """Jobs in these states by their cause, the most frequent first."""
    wanted = frozenset(states)
    groups: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.state in wanted:
            groups[pattern(job.cause or NONE, job.host)].append(job)
    causes = [
        Cause(
            what=some[0].cause or NONE,
            pattern=key,
            states=tuple(sorted({j.state for j in some})),
            jobs=tuple(sorted(some, key=lambda j: j.host)),
        )
        for key, some in groups.items()
    ]
    return tuple(sorted(causes, key=lambda c: (-len(c.jobs), c.pattern)))
