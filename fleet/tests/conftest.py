"""What the tests share: services of their own, and memories of both kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reroot_fleet.memory.database import Memory, open_memory
from tests.services.postgres import Postgres
from tests.services.redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for an ssh server is known by it, so that a machine without one can leave it out."""
    for item in items:
        if "sshd" in getattr(item, "fixturenames", ()):
            item.add_marker("sshd")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One server for all tests of this process."""
    with Redis() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fleet.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def memory(database: str) -> Iterator[Memory]:
    """An empty memory, of each kind."""
    opened = open_memory(database)
    yield opened
    opened.close()
