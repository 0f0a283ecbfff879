"""Opening the memory: which database, is its schema ours, and what a transaction is.

PostgreSQL is for a fleet; SQLite is for a first try on one machine. A database of a newer schema is
refused, one of an older schema too until a person migrates it, and an empty one is filled.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from reroot_fleet.memory import migrate
from reroot_fleet.memory.errors import MemoryFault, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

IDLE_S = 10
"""For how long a conductor may stand still in the middle of a transaction. The database ends one that was
stopped, or whose host is gone, and with it the locks that would keep everybody else waiting."""
PING_S = 1.0
"""A connection that was used so lately is used again without asking it first whether it is alive. A database
that was restarted is noticed all the same before a statement is lost to it: a restart takes longer."""
GIVEN_UP = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A server that cannot be reached any more closes nothing: the kernel finds out within half a minute, and not
within hours. Seconds; the last one milliseconds."""
# How long SQLite waits for another writer of the same file.
_SQLITE_BUSY_SECONDS = 60


class Memory:
    """An open database whose schema is this release's."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.answered = time.monotonic()
        """When it was heard of last, by this host's own clock."""

    @property
    def where(self) -> str:
        """The database's address, without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: all of it, or nothing."""
        with _told(self.where), self.engine.begin() as connection:
            yield connection
        self.answered = time.monotonic()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads the database as it was at one moment."""
        with _told(self.where), self.engine.connect() as connection:
            options: dict[str, Any] = {"fleet_reads": True}
            if connection.dialect.name == "postgresql":
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with connection.execution_options(**options).begin():
                yield connection
        self.answered = time.monotonic()

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def connect(address: str, *, connections: int = 10, idle_s: int = 0) -> Memory:
    """Connect, whatever the schema is; for migrating and for doctor.

    `idle_s`: a transaction in which nothing is said for so long is ended by PostgreSQL; 0: none is.
    """
    url = _url(address)
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": _SQLITE_BUSY_SECONDS})
        _prepare_sqlite(engine)
    else:
        engine = sa.create_engine(
            url,
            pool_size=connections,
            max_overflow=connections,
            # The one that was used last is asked least whether it is alive.
            pool_use_lifo=True,
            connect_args={"application_name": "reroot-fleet", **GIVEN_UP},
        )
        _prepare_postgres(engine, idle_s)
        _ping_idle_ones(engine)
    return Memory(engine)


def open_memory(address: str, *, connections: int = 10, idle_s: int = 0) -> Memory:
    """Open the memory. An empty database gets its tables; one of another schema is refused."""
    memory = connect(address, connections=connections, idle_s=idle_s)
    try:
        migrate.require_current(memory)
    except BaseException:
        memory.close()
        raise
    return memory


def _url(address: str) -> URL:
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise MemoryFault(
            "read the address of the fleet's database",
            "it is none",
            then="give postgresql://user@host/name or sqlite:////path/to/file",
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"postgresql", "sqlite"}:
        raise MemoryFault(
            "open the fleet's database",
            f"{url.drivername} is not supported",
            then="use postgresql:// or, for a first try, sqlite:///",
        )
    return url


def _prepare_postgres(engine: Engine, idle_s: int) -> None:
    if not idle_s:
        return

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, record: object) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {idle_s * 1000}")
        cursor.close()
        connection.commit()


def _ping_idle_ones(engine: Engine) -> None:
    """As `pool_pre_ping`, which asks at every transaction."""

    @event.listens_for(engine, "checkin")
    def _given_back(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        del connection
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _taken(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: object) -> None:
        del proxy
        used = record.info.get("used")
        if used is None or time.monotonic() < used + PING_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # Its sisters are as dead as it is: the pool connects anew.
            raise sa.exc.InvalidatePoolError from error


def _prepare_sqlite(engine: Engine) -> None:
    # The driver's own idea of transactions begins them too late: take them over.
    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, record: object) -> None:
        del record
        # sqlite3's own attribute: begin nothing yourself.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        reads = connection.get_execution_options().get("fleet_reads", False)
        # A writer that begins as a reader may find, too late, that another one was faster.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    # The second one: PostgreSQL has ended a transaction that stood still.
    except (sa.exc.OperationalError, sa.exc.InternalError) as error:
        raise Unreachable(where, " ".join(str(error.orig).split())) from error
