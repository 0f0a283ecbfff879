"""A PostgreSQL of the test's own: Debian's program, a temporary directory, one loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg
import sqlalchemy as sa

from tests.services.process import Service, find, free_port, unprivileged


class Postgres:
    """A server with as many empty databases as one asks for."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="reroot-fleet-postgres-"))
        self.port = free_port()
        self._databases = 0
        who = unprivileged()
        if who:
            os.chown(self.directory, *who)
        self.data = self.directory / "data"
        user, group = who or (None, None)
        bin_dir = Path(find("postgres", "usr/lib/postgresql/*/bin/postgres")).parent
        subprocess.run(
            [bin_dir / "initdb", "-D", self.data, "-U", "fleet", "-A", "trust", "-E", "UTF8", "-N"],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            check=True,
            capture_output=True,
            user=user,
            group=group,
        )
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            "shared_buffers": "32MB",
            # A killed server loses nothing that the kernel has; only a power cut would.
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        command = [str(bin_dir / "postgres"), "-D", str(self.data)]
        command += [f"--{name}={value}" for name, value in options.items()]
        self.service = Service(command, self.directory, who)

    def start(self) -> None:
        """Start it, also again."""
        self.service.start(self._answers)

    def kill(self) -> None:
        """End it as a power cut would: nothing is written any more."""
        self.service.stop(signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def database(self) -> str:
        """The address of a new, empty place: a schema, which costs less than a database does."""
        self._databases += 1
        name = f"fleet_{self._databases}"
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._address}?options=-csearch_path%3D{name}"

    @property
    def _address(self) -> str:
        return f"postgresql://fleet@127.0.0.1:{self.port}/postgres"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.service.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)


def drop_connections(address: str) -> None:
    """End every other connection to a database, as a restart would."""
    engine = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
