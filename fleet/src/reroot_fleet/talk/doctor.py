"""`reroot-fleet doctor`: find by day what would break the night."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import typer

from reroot_fleet.alerts.channel import NotSentError
from reroot_fleet.alerts.channels import channels
from reroot_fleet.alerts.watchdog import alive
from reroot_fleet.memory import append_only, conductors, images, machines, migrate, nights
from reroot_fleet.memory.database import connect
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.board import look_at_board
from reroot_fleet.talk.options import AsJson
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SKEW = timedelta(seconds=2)
# A conductor holds a connection to a machine, its two pipes and some more for each slot.
_FILES_A_SLOT = 8
_WORDS = {"ok": "ok  ", "warn": "warn", "bad": "BAD "}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    what: str
    how: str
    """`ok`, `warn` or `bad`."""
    words: str


def doctor(*, as_json: AsJson = False) -> None:
    """Look at database, board, ssh, clock, limits, images, alerts and conductors; change nothing."""
    found = [finding for part in PARTS for finding in _guarded(part)]
    if as_json:
        say.document(found)
    else:
        for finding in found:
            typer.echo(f"{_WORDS[finding.how]} {finding.what:<11} {finding.words}")
    if any(finding.how == "bad" for finding in found):
        sys.exit(1)


def _guarded(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    name = part.__name__.strip("_")
    try:
        yield from part()
    except Problem as problem:
        yield Finding(name, "bad", str(problem))


def _settings() -> Iterator[Finding]:
    named = os.environ.get("REROOT_FLEET_SETTINGS", fleet.DEFAULT_FILE)
    fleet.settings()
    there = Path(named).exists()
    yield Finding("settings", "ok", named if there else f"no {named}: defaults, for a first try")


def _database() -> Iterator[Finding]:
    memory = connect(fleet.settings().database)
    try:
        with memory.read() as c:
            found = migrate.theirs(c)
            if found is None:
                yield Finding("database", "ok", f"{memory.where} is empty; it will be filled")
                return
            kept = append_only.is_kept(c)
            clock = c.execute(sa.select(sa.func.now())).scalar()
        migrate.require_current(memory)
        yield Finding("database", "ok", f"{memory.where}, schema {found}")
        if memory.engine.dialect.name == "sqlite":
            yield Finding(
                "database", "warn", "SQLite is for a first try: one machine, one conductor"
            )
        if not kept:
            words = "the triggers that keep the events append-only are gone; make them again"
            yield Finding("database", "bad", words)
        if clock is not None and clock.tzinfo is not None:
            skew = abs(fleet.now() - clock)
            words = f"{skew.total_seconds():.1f} s from the database's"
            yield Finding("clock", "ok" if skew <= _SKEW else "bad", words)
    finally:
        memory.close()


def _clock() -> Iterator[Finding]:
    if shutil.which("timedatectl") is None:
        return
    asked = subprocess.run(
        ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.strip() == "no":
        yield Finding("clock", "warn", "it is not synchronized; windows and deadlines go by it")


def _board() -> Iterator[Finding]:
    try:
        how, words = look_at_board(fleet.settings().board)
    except Exception as error:  # noqa: BLE001 - whatever a board's library raises
        how, words = "bad", f"it refuses or does not answer: {error}"
    yield Finding("board", how, words)


def _ssh() -> Iterator[Finding]:
    program = shutil.which("ssh")
    if program is None:
        yield Finding("ssh", "bad", "there is no ssh; install openssh-client")
        return
    asked = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    yield Finding("ssh", "ok", (asked.stderr or asked.stdout).strip())
    if shutil.which("rsync") is None:
        yield Finding("ssh", "warn", "there is no rsync: a copy that breaks off begins anew")
    if "SSH_AUTH_SOCK" not in os.environ and not list(Path.home().glob(".ssh/id_*")):
        yield Finding("ssh", "warn", "no agent and no key: the inventory has to name one")


def _limits() -> Iterator[Finding]:
    slots = fleet.settings().slots
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = slots * _FILES_A_SLOT + 256
    how = "ok" if files >= need else "bad"
    yield Finding("limits", how, f"{files} open files; {slots} slots want {need}")
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if processes != resource.RLIM_INFINITY and processes < slots * 4:
        yield Finding("limits", "bad", f"{processes} processes; {slots} slots want {slots * 4}")


def _images() -> Iterator[Finding]:
    with fleet.memory().read() as c:
        known = images.every(c)
        named = {host.image for host in machines.every(c) if host.image}
    directory = Path(fleet.settings().images)
    for name in sorted(named):
        path = directory / f"{name}.reroot"
        if not path.exists():
            yield Finding("images", "bad", f"the inventory names {name}, and there is no {path}")
    for image in known:
        path = Path(image.path)
        if path.exists() and path.stat().st_size != image.bytes:
            words = f"{path} is not what was queued any more: another size"
            yield Finding("images", "bad", words)
    yield Finding("images", "ok", f"{len(known)} known, {len(named)} named by the inventory")


def _alerts() -> Iterator[Finding]:
    ways = channels(fleet.settings())
    if not ways:
        yield Finding("alerts", "warn", "no way is configured: nobody is woken up")
    for way in ways:
        try:
            yield Finding("alerts", "ok", way.test())
        except NotSentError as error:
            yield Finding("alerts", "bad", str(error))


def _conductors() -> Iterator[Finding]:
    with fleet.memory().read() as c:
        signs, every = conductors.every(c), nights.every(c)
    living = alive(signs, fleet.now())
    if not living:
        yield Finding("conductors", "warn", "none is alive")
    else:
        names = ", ".join(f"{s.name} on {s.host}" for s in living)
        yield Finding("conductors", "ok", names)
        if len({s.host for s in living}) < 2:
            yield Finding("conductors", "warn", "all on one host: if it dies, nobody goes on")
        if len({s.version for s in living}) > 1:
            yield Finding("conductors", "warn", "of several versions: an upgrade is not finished")
    yield Finding("nights", "ok", f"{len(every)} in the memory")


PARTS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _settings,
    _database,
    _clock,
    _board,
    _ssh,
    _limits,
    _images,
    _alerts,
    _conductors,
)
