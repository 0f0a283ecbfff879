"""A memory that costs nothing: flows are driven by hand, and what a database does is tried elsewhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.memory.database import Memory, connect, open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator


SHELF = "/dev/shm"  # noqa: S108 - a directory of our own is made in it


@pytest.fixture(scope="session")
def shelf() -> Iterator[Path]:
    """A directory in memory, where there is one."""
    parent = SHELF if os.access(SHELF, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="reroot-fleet-", dir=parent) as directory:
        open_memory(f"sqlite:///{directory}/template.sqlite").close()
        yield Path(directory)


@pytest.fixture
def memory(shelf: Path, request: pytest.FixtureRequest) -> Iterator[Memory]:
    """An empty one, as a copy."""
    file = shelf / f"{abs(hash(request.node.nodeid))}.sqlite"
    shutil.copy(shelf / "template.sqlite", file)
    opened = connect(f"sqlite:///{file}")
    yield opened
    opened.close()
    file.unlink()
