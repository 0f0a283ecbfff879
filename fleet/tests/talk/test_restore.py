"""Restoring from a backup: the hook first, and what it did is written down only when it ended well."""

from __future__ import annotations

import pytest

from reroot_fleet.memory import jobs
from reroot_fleet.talk import fleet
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.problem import Problem
from tests.talk.test_commands import POLICY, Site, site

__all__ = ["site"]
JOB = "2026-11-28/web1/1"


@pytest.fixture
def held(site: Site) -> Site:
    """A machine that is held, in a night whose policy has a hook that writes down what it restores."""
    hook = site.directory / "restore"
    hook.write_text(
        f"#!/bin/sh\necho $1 >> {site.directory}/restored\nexit $(cat {site.directory}/status)\n"
    )
    hook.chmod(0o755)
    (site.directory / "status").write_text("0")
    policy = site.directory / "policy.toml"
    policy.write_text(f'{POLICY}[hooks]\nrestore = "{hook}"\n')
    site("import", str(site.directory / "hosts.csv"))
    site("queue", "all", "--night", "2026-11-28", "--policy", str(policy), "--yes")
    with fleet.memory().begin() as c:
        for what in (What.JOB_POSTED, What.JOB_CLAIMED, What.GO_INTENDED, What.JOB_HELD):
            jobs.record(c, Event(fleet.now(), "x", what, "2026-11-28", "web1", JOB))
    return site


def state() -> JobState:
    with fleet.memory().read() as c:
        job = jobs.get(c, JOB)
    assert job is not None
    return job.state


def test_a_restore_runs_the_hook_and_is_written_down(held: Site) -> None:
    said = held("restore", "web1", "--reason", "its disk", "--yes").stdout
    assert "settled web1 as restored" in said
    assert (held.directory / "restored").read_text() == "web1\n"
    assert state() is JobState.RESTORED


def test_a_restore_that_fails_changes_nothing_in_the_memory(held: Site) -> None:
    (held.directory / "status").write_text("3")
    with pytest.raises(Problem, match="ended with status 3"):
        held("restore", "web1", "--reason", "its disk", "--yes")
    assert state() is JobState.HELD


def test_a_machine_that_is_not_held_is_not_restored(held: Site) -> None:
    with pytest.raises(Problem, match="no job that is held or reverted"):
        held("restore", "web2", "--reason", "its disk", "--yes")
    assert not (held.directory / "restored").exists()
