"""The programs that run for a night, as real processes on a real database and a real board."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from reroot_fleet.memory import conductors
from reroot_fleet.memory.database import open_memory
from reroot_fleet.talk import fleet
from reroot_fleet.talk.main import app
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.place import Place
    from tests.services.postgres import Postgres

pytestmark = pytest.mark.postgres
PATIENCE_SECONDS = 300


def _until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < end
        time.sleep(0.3)


def test_a_conductor_and_a_page_begin_are_found_and_end(
    postgres: Postgres, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, port = postgres.database(), free_port()
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "fleet.toml").write_text(
        f"""
        database = "{database}"
        board = "{place.address}"
        images = "{tmp_path}"
        slots = 3
        [page]
        listen = "127.0.0.1:{port}"
        token_file = "{tmp_path}/token"
        """
    )
    settings = {"REROOT_FLEET_SETTINGS": str(tmp_path / "fleet.toml")}
    environment = os.environ | settings | {"HOME": str(tmp_path)}

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "reroot_fleet.talk.main", *arguments]
        with (tmp_path / f"{arguments[0]}.log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stderr=log, stdout=log)

    memory = open_memory(database)
    conductor = start("conductor", "--name", "north")
    page = start("page")
    try:

        def beats() -> bool:
            with memory.read() as c:
                return [s.name for s in conductors.every(c)] == ["north"]

        def serves() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            except httpx.HTTPError:
                return False

        _until(beats, conductor)
        _until(serves, page)
        bearer = {"authorization": "Bearer s3cret"}
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=bearer).text
        assert "reroot_fleet_memory_up 1.0" in metrics
        monkeypatch.setenv("REROOT_FLEET_SETTINGS", settings["REROOT_FLEET_SETTINGS"])
        fleet.settings.cache_clear()
        fleet.memory.cache_clear()
        asked = CliRunner().invoke(app, ["doctor", "--json"])
        found = {f["what"]: f for f in json.loads(asked.stdout)}
        assert found["board"]["how"] == "ok"
        said = {"redis": "append-only file on", "zookeeper": "standalone"}
        assert said[place.kind] in found["board"]["words"]
    finally:
        for process in (conductor, page):
            process.send_signal(signal.SIGTERM)
        assert conductor.wait(PATIENCE_SECONDS) == 0, (tmp_path / "conductor.log").read_text()
        page.wait(PATIENCE_SECONDS)
    with memory.read() as c:
        assert [s.state for s in conductors.every(c)] == ["stopped"]
    for line in (tmp_path / "conductor.log").read_text().splitlines():
        assert json.loads(line)["level"]
    memory.close()
