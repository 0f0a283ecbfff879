"""What the tests share: services of their own, and memories of both kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reroot_fleet.memory.database import Memory, open_memory
from tests.services.place import Place
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.zookeeper import Zookeeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for a service that not every machine has is known by it, and can be left out."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "sshd" in names:
            item.add_marker("sshd")
        if "zookeeper_server" in names:
            item.add_marker("zookeeper")


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


@pytest.fixture(scope="session")
def zookeeper_server() -> Iterator[Zookeeper]:
    """One server for all tests of this process."""
    with Zookeeper() as server:
        yield server


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("zookeeper", marks=pytest.mark.zookeeper),
    ]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place for boards, of each kind."""
    server: Redis | Zookeeper = request.getfixturevalue(f"{request.param}_server")
    address = server.board() if isinstance(server, Zookeeper) else server.address
    made = Place(request.param, address)
    yield made
    made.close()


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
