"""`reroot-fleet restore`: put a machine back from its backup, by the hook of its night's policy."""

from __future__ import annotations

import shlex
import subprocess
from typing import Annotated

import typer

from reroot_fleet.memory import jobs, nights
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Why, Yes
from reroot_fleet.talk.settle import Outcome, settle
from reroot_fleet.values.job import JobState
from reroot_fleet.values.problem import Place, Problem

FROM = (JobState.HELD, JobState.REVERTED)


def restore(
    host: Annotated[str, typer.Argument(help="The machine.")],
    *,
    reason: Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a held or reverted machine back from its backup, by the policy's hook `restore`."""
    line = _hook(host)
    say.sure(f"Run `{line} {host}`, which puts {host} back from its backup?", yes=yes)
    with fleet.memory().begin() as c:
        fleet.ordered(c, f"restore {host}", why=reason)
    # A restore takes as long as it takes; who asked for it is there and sees what it says.
    try:
        status = subprocess.run([*shlex.split(line), host], check=False).returncode
    except OSError as error:
        raise _cannot(host, f"the hook `{line}` cannot be run: {error}") from error
    if status != 0:
        raise _cannot(host, f"the hook `{line}` ended with status {status}")
    settle(host, outcome=Outcome.RESTORED, reason=reason, yes=True, as_json=as_json)


def _hook(host: str) -> str:
    with fleet.memory().read() as c:
        mine = [j for j in jobs.select(c, host=host) if j.state in FROM]
        if not mine:
            raise _cannot(host, f"it has no job that is {' or '.join(FROM)}")
        night = nights.get(c, max(mine, key=lambda j: (j.night, j.attempt)).night)
    line = night.policy.hooks.get("restore", "") if night is not None else ""
    if not line:
        raise _cannot(host, "the policy of its night names no hook `restore`")
    return line


def _cannot(host: str, why: str) -> Problem:
    return Problem(
        "restore it from its backup",
        why,
        at=Place(host=host),
        intact="the fleet counts it as before",
        then=f"with your own tools, and then `reroot-fleet settle {host} --as restored`",
    )
