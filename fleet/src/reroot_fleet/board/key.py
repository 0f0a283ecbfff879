"""What a job is called on a board: its key follows from its id, so that it cannot be there twice."""

from __future__ import annotations

import uuid

_JOBS = uuid.UUID("5b0c0b0e-7a52-4f0c-9d4a-7265726f6f74")


def key(job: str) -> uuid.UUID:
    """The same for everyone."""
    return uuid.uuid5(_JOBS, job)
