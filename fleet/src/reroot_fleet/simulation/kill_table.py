"""The kill table: a conductor is killed, or stopped and continued, at every write of a job's life.

The writes are not listed by hand: one undisturbed life is traced, and every write that it made is a
row. In each, conductor `a` is ended there, conductor `b` takes the job up, and what became of the job
and of its machine is counted.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.policy.fold import fold
from reroot_fleet.simulation.model import BRISK
from reroot_fleet.simulation.stage import PATIENCE_S, Stage, hosts, policy
from reroot_fleet.values.atoms import ORDER
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from reroot_fleet.values.event import Event

QUICK = {
    "tick_s": 0.05,
    "look_s": 0.15,
    "plan_s": 0.5,
    "repost_s": 1.0,
    "states_s": 0.3,
    "again_s": 0.5,
    "threads": 4,
}
SCALE = 20.0
TTL_S = 3.0


class How(StrEnum):
    """What is done to the first conductor."""

    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    STOP_BEFORE = "stop-before"
    """Stopped for longer than its claim, and continued when another one has the job."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one life."""

    write: str
    number: int
    how: How
    state: JobState
    sprung: bool
    taken_up: bool
    """Another conductor claimed the job."""
    steps_again: int
    """Steps that were begun once more."""
    gos: int
    """How often `go` was said."""
    accepted: int
    """How often it began a run: at most once."""
    hooks_again: int
    stood_still_s: float
    folds: bool
    """The log alone reproduces the job."""
    drained: bool
    """It was left out of the load balancer."""
    log: str = ""

    @property
    def lost(self) -> bool:
        """Whether the job did not come to its end."""
        return self.state is not JobState.DONE

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice."""
        return not self.lost and self.accepted == 1 and self.folds and not self.drained


Where = tuple[str, str]
"""The addresses of an empty database and an empty board of its own."""


def stage_at(directory: Path, where: Where) -> Stage:
    """A stage for one life."""
    directory.mkdir(parents=True, exist_ok=True)
    return Stage(directory, *where, scale=SCALE, ttl_s=TTL_S, settings=QUICK)


def trace(directory: Path, where: Where) -> list[str]:
    """The writes of an undisturbed life, in their order."""
    file = directory / "trace"
    with stage_at(directory, where) as stage:
        stage.ttl_s = PATIENCE_S  # nothing is to disturb this one, however busy the machine is
        stage.world(hosts(1), pace=BRISK)
        stage.fill(hosts(1), policy(1))
        stage.conductor("a", trace=file)
        stage.wait_until_over(PATIENCE_S)
        _wait(lambda: "board consume" in file.read_text(), PATIENCE_S)
        if stage.jobs()[0].state is not JobState.DONE:
            raise RuntimeError(stage.log())
    return file.read_text().splitlines()


def life(directory: Path, where: Where, write: str, number: int, how: How) -> Row:
    """One life, disturbed at one write."""
    file = directory / "trace"
    with stage_at(directory, where) as stage:
        stage.world(hosts(1), pace=BRISK)
        stage.fill(hosts(1), policy(1))
        first = stage.conductor("a", trap=f"{how}:{number}", trace=file)
        sprung = (
            _wait(
                lambda: (file.exists() and "SPRUNG" in file.read_text()) or not _live(stage),
                PATIENCE_S,
            )
            and "SPRUNG" in file.read_text()
        )
        ended = time.time()
        stage.conductor("b")
        if how is How.STOP_BEFORE and sprung:
            # At odd numbers while the other one is at work, at even ones when it has done everything.
            if number % 2:
                _wait(lambda: _claims(stage) > 1 or not _live(stage), PATIENCE_S)
            else:
                stage.wait_until_over(PATIENCE_S)
            os.kill(first.pid or 0, signal.SIGCONT)
        stage.wait_until_over(PATIENCE_S)
        time.sleep(1.0)  # whoever was continued has its chance to do harm
        return _row(stage, write, number, how, sprung=sprung, ended=ended)


def _row(stage: Stage, write: str, number: int, how: How, *, sprung: bool, ended: float) -> Row:
    events = stage.events()
    (job,) = stage.jobs()
    (seen,) = stage.socket.seen()
    begun = Counter(e.detail["step"] for e in events if e.what is What.STEP_BEGUN)
    claims = [e for e in events if e.what is What.JOB_CLAIMED]
    row = Row(
        write,
        number,
        how,
        job.state,
        sprung=sprung,
        taken_up=any(e.detail.get("conductor") == "b" for e in claims),
        steps_again=begun.total() - len(begun),
        gos=seen.gos,
        accepted=len(seen.accepted),
        hooks_again=sum(n - 1 for n in Counter(seen.hooks).values()),
        stood_still_s=_stood_still(stage, claims, ended),
        folds=fold(events).jobs[job.id] == job and len(begun) == len(ORDER),
        drained=seen.hooks.count("drain") > 0 and seen.hooks[-1] != "undrain",
    )
    return row if row.good else _with_log(row, stage.log())


def _with_log(row: Row, log: str) -> Row:
    values = {name: getattr(row, name) for name in Row.__slots__}
    return Row(**{**values, "log": log})


def _stood_still(stage: Stage, claims: list[Event], ended: float) -> float:
    clock = stage.scene.clock
    moments = [
        clock.begun + (e.at - clock.begins).total_seconds() / clock.scale
        for e in claims
        if e.detail.get("conductor") == "b"
    ]
    return max(0.0, min(moments) - ended) if moments else 0.0


def table(
    directory: Path,
    where: Callable[[], Where],
    points: Iterable[tuple[int, str, How]],
    *,
    at_once: int = 2,
) -> list[Row]:
    """Those lives, some at once."""

    def one(point: tuple[int, str, How]) -> Row:
        number, write, how = point
        return life(directory / f"{number}-{how}", where(), write, number, how)

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(one, points))


def all_points(writes: list[str]) -> list[tuple[int, str, How]]:
    """Every write, in every way."""
    return [(n, write, how) for n, write in enumerate(writes, 1) for how in How]


def every_write(writes: list[str]) -> list[tuple[int, str, How]]:
    """Every write once, the ways in turn."""
    ways = list(How)
    return [(n, write, ways[n % len(ways)]) for n, write in enumerate(writes, 1)]


def told(rows: list[Row]) -> str:
    """The table, in Markdown: one line a kind of write and way."""
    lines = [
        "| write | how | lives | resumed | steps again | `go` again | hooks again | lost | second run |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (write, how), group in _grouped(rows).items():
        lines.append(_line(write, how, group))
    lines.append(_line("**all**", "", rows))
    return "\n".join(lines)


def _grouped(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.write, str(row.how)), []).append(row)
    return groups


def _line(write: str, how: str, rows: list[Row]) -> str:
    cells: list[object] = [
        write,
        how,
        len(rows),
        sum(r.taken_up for r in rows),
        sum(r.steps_again for r in rows),
        sum(max(0, r.gos - 1) for r in rows),
        sum(r.hooks_again for r in rows),
        sum(r.lost for r in rows),
        sum(r.accepted > 1 for r in rows),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _claims(stage: Stage) -> int:
    return sum(e.what is What.JOB_CLAIMED for e in stage.events())


def _live(stage: Stage) -> bool:
    return any(not job.state.ended for job in stage.jobs())


def _wait(what: Callable[[], object], limit_s: float) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False
