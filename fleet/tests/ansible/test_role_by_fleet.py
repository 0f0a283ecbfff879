"""The role, through the fleet: the commands are real, what becomes of a job is written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reroot_fleet.memory import jobs
from reroot_fleet.memory.database import Memory, open_memory
from reroot_fleet.values.event import Event, What

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reroot_fleet.values.job import Job

BIN = Path(sys.executable).parent
ROLES = Path(__file__).parents[2] / "ansible" / "roles"
NIGHT = "2999-11-28"
PATIENCE_S = 240.0
Life = tuple[tuple[What, dict[str, Any]], ...]
GOES_WELL: Life = (
    (What.JOB_POSTED, {"wave": 0}),
    (What.JOB_CLAIMED, {"conductor": "north"}),
    (What.JOB_DONE, {}),
)
TAKEN_BACK: Life = ((What.JOB_WITHDRAWN, {"cause": "another night"}),)


class Site:
    """A fleet of three machines, and a playbook of two of them."""

    def __init__(self, at: Path) -> None:
        self.at = at
        fleet = [sys.executable, "-m", "reroot_fleet.talk.main"]
        settings = f'database = "sqlite:///{at}/fleet.sqlite"\nimages = "{at}"\n'
        (at / "fleet.toml").write_text(settings)
        (at / "trixie.reroot").write_bytes(b"an image")
        (at / "policy.toml").write_text('[window]\nzone = "UTC"\n')
        (at / "hosts.csv").write_text(
            "name,address,image\n" + "".join(f"web{n},192.0.2.{n},trixie\n" for n in (1, 2, 3))
        )
        self.environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(at),
            "LC_ALL": "C.UTF-8",
            "REROOT_FLEET_SETTINGS": str(at / "fleet.toml"),
            "ANSIBLE_ROLES_PATH": str(ROLES),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        book = [{"hosts": "all", "gather_facts": False, "roles": ["reroot"]}]
        wishes = {
            "reroot_via": "fleet",
            "reroot_fleet": str(at / "reroot-fleet"),
            "reroot_night": NIGHT,
            "reroot_pause": 1,
        }
        (at / "reroot-fleet").write_text(f'#!/bin/sh\nexec {" ".join(fleet)} "$@"\n')
        (at / "reroot-fleet").chmod(0o755)
        hosts: dict[str, dict[str, str]] = {"web1": {}, "web2": {}}
        (at / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": wishes}}))
        (at / "book.yml").write_text(json.dumps(book))
        self.fleet("import", str(at / "hosts.csv"))
        # The night, with its policy, is there before any play.
        policy = str(at / "policy.toml")
        self.fleet("queue", "web3", "--night", NIGHT, "--policy", policy, "--yes")

    def fleet(self, *words: str) -> None:
        command = [str(self.at / "reroot-fleet"), *words]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def play(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "ansible-playbook", "-i", self.at / "hosts.json", self.at / "book.yml"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    opened = open_memory(f"sqlite:///{tmp_path}/fleet.sqlite")
    yield opened
    opened.close()


def queued(memory: Memory, host: str) -> Job:
    """Its newest job, as soon as there is one."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with memory.read() as c:
            found = jobs.select(c, host=host)
        if found:
            return max(found, key=lambda j: j.attempt)
        time.sleep(0.2)
    raise TimeoutError(f"{host} was not queued")


@pytest.mark.long
def test_a_machine_is_queued_waited_for_and_left_out_by_the_next_play(
    tmp_path: Path, memory: Memory
) -> None:
    site = Site(tmp_path)
    playing = site.play()
    for host, life in (("web1", GOES_WELL), ("web2", TAKEN_BACK)):
        job = queued(memory, host)
        for what, detail in life:
            with memory.begin() as c:
                event = Event(datetime.now(UTC), "test", what, NIGHT, host, job.id, detail=detail)
                jobs.record(c, event)
    text, _ = playing.communicate(timeout=PATIENCE_S)
    told = {line.split()[0]: line for line in text.splitlines() if "failed=" in line}
    assert "changed=1" in told["web1"], text
    assert "failed=0" in told["web1"], text
    assert "failed=1" in told["web2"], text
    assert "web2 is withdrawn" in text

    # It is done: the next play changes nothing, and queues the other one again.
    playing = site.play()
    with memory.read() as c:
        (first,) = jobs.select(c, host="web2")
    end = time.monotonic() + PATIENCE_S
    while queued(memory, "web2").id == first.id and time.monotonic() < end:
        time.sleep(0.2)
    with memory.begin() as c:
        again = queued(memory, "web2")
        event = Event(datetime.now(UTC), "test", What.JOB_WITHDRAWN, NIGHT, "web2", again.id)
        jobs.record(c, event)
    text, _ = playing.communicate(timeout=PATIENCE_S)
    told = {line.split()[0]: line for line in text.splitlines() if "failed=" in line}
    assert "changed=0" in told["web1"], text
    assert "failed=0" in told["web1"], text
    assert again.attempt == 2
