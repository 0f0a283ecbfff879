"""The conductor's loop: look at the board, claim, drive, let wait, take up again.

It keeps nothing that is not in the memory: killed at any moment, it is missed by nobody once its
claims have expired.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reroot_fleet.board.lease import Lease
from reroot_fleet.board.seam import BoardFault, Posting
from reroot_fleet.conductor import claiming, keeping, watching
from reroot_fleet.conductor.heart import Heart
from reroot_fleet.conductor.late import Latecomers
from reroot_fleet.conductor.waiting import WaitingRoom
from reroot_fleet.flow.copies import Copies
from reroot_fleet.flow.drive import Drive, Left, drive
from reroot_fleet.flow.outcome import Wait, Watch
from reroot_fleet.flow.stop import Stop, Why
from reroot_fleet.memory import conductors, jobs, sightings
from reroot_fleet.memory.errors import MemoryFault
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from reroot_fleet.board.seam import Board
    from reroot_fleet.conductor.settings import Settings
    from reroot_fleet.flow.desk import Desk
    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.machine.seam import Hooks, Machine
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.host import Host
    from reroot_fleet.values.sighting import Sighting

LOG = logging.getLogger(__name__)

VERSION = "1"
SELDOM = 3
"""So many times more seldom the night is kept by conductors that are not the first of those alive: one of
them does it anyway, and would only be asked twice. None of them waits for another one."""
MISSED_SIGNS = 4
"""A conductor that has not missed so many signs of life is alive: it makes its share of the copies."""


@dataclass(slots=True)
class Seat:
    """A job that is here."""

    posting: Posting
    lease: Lease
    desk: Desk | None = None
    busy: bool = True
    """A thread works on it."""
    seen: Sighting | None = None
    """What its run said last of how far it is."""


def process_mark(name: str) -> str:
    """A name for this very process: one that is started again does not inherit its claims."""
    return f"{name}#{os.getpid()}-{secrets.token_hex(4)}"


class Conductor:
    """One of them."""

    def __init__(
        self,
        settings: Settings,
        memory: Memory,
        board: Board,
        clock: Clock,
        machine: Callable[[Host], Machine],
        hooks: Callable[[Mapping[str, str]], Hooks],
        mark: str,
    ) -> None:
        self._set = settings
        self._memory = memory
        self._board = board
        self._clock = clock
        self._leaving = threading.Event()
        self._copies = Copies(self._turn_has_come)
        self._site = claiming.Site(
            memory,
            clock,
            settings.name,
            mark,
            machine,
            hooks,
            self._copies,
            self._leaving,
            settings.ticket_s,
        )
        self._seats: dict[str, Seat] = {}
        self._lock = threading.Lock()
        self._heart = Heart(board, clock, self._lost, self._mute)
        self._room = WaitingRoom(
            clock.real(settings.poll_first_s), clock.real(settings.poll_longest_s)
        )
        self._threads = ThreadPoolExecutor(settings.threads, "step")
        self._keeper = keeping.Keeper(memory, board, clock, settings.name)
        self._keeping = ThreadPoolExecutor(1, "keeper")
        self._kept = True
        self._first = True
        """Of the conductors that are alive, by name."""
        self._latecomers = Latecomers(memory, clock, settings.name, machine)
        self._asking = ThreadPoolExecutor(1, "latecomers")
        self._asked = True
        self._next: dict[str, float] = {}
        self._unwritten: dict[str, Sighting] = {}
        """What was seen of runs, and is to be written down yet."""
        self._started: datetime = clock.now()

    # -- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Works until `leave`."""
        self._heart.start()
        LOG.info("conductor %s begins, with %d slots", self._set.name, self._set.slots)
        while not self._leaving.wait(self._set.tick_s):
            self.tick()
        self._end()

    def leave(self) -> None:
        """Ends after the steps that run now; every job is given back."""
        self._leaving.set()

    def tick(self) -> None:
        """One round. A fault of the memory or the board costs the round, and nothing else."""
        for every, what in (
            (0.0, self._wake),
            (self._set.look_s, self._claim),
            (self._set.states_s, self._ended_by_others),
            (self._set.plan_s * (1 if self._first else SELDOM), self._keep),
            (self._set.sign_s, self._sign),
            (self._set.late_s, self._late),
            (self._set.seen_s, self._tell_seen),
        ):
            if self._turn(what.__name__, every):
                try:
                    what()
                except (MemoryFault, BoardFault) as fault:
                    LOG.warning("%s: %s", what.__name__.strip("_"), fault)

    def _turn(self, name: str, every: float) -> bool:
        now = self._clock.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + every
        return True

    def _end(self) -> None:
        self._threads.shutdown(wait=True)
        self._keeping.shutdown(wait=True)
        self._asking.shutdown(wait=True)
        for seat in list(self._seats.values()):
            self._give_back(seat)
        self._heart.stop()
        try:
            self._sign("stopped")
        except MemoryFault as fault:
            LOG.warning("the last sign of life: %s", fault)
        LOG.info("conductor %s has ended", self._set.name)

    # -- claiming -----------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """Slots that nobody uses."""
        with self._lock:
            return self._set.slots - len(self._seats)

    def _mute(self) -> bool:
        """Whether the memory has not answered for so long that others should have the jobs."""
        return self._clock.monotonic() > self._memory.answered + self._set.mute_s

    def _claim(self) -> None:
        free = self.free
        if free <= 0 or self._mute():
            return
        for posting in self._board.free()[:free]:
            asked = self._clock.monotonic()
            if posting.job in self._seats or not self._board.claim(posting):
                continue
            lease = Lease(self._board.ttl_s, asked)
            seat = Seat(posting, lease)
            with self._lock:
                self._seats[posting.job] = seat
            self._heart.add(posting, lease)
            self._threads.submit(self._guarded, self._take, seat)

    def _take(self, seat: Seat) -> None:
        try:
            desk = claiming.sit_down(self._site, seat.posting.job, seat.lease)
        except (MemoryFault, Stop) as fault:
            LOG.warning("%s is not taken yet: %s", seat.posting.job, fault)
            self._later(seat)
            return
        if desk is None:
            self._off_the_board(seat)
            return
        seat.desk = desk
        if desk.wait is not None:
            self._let_wait(seat, desk.wait)
        else:
            self._drive(seat)

    # -- driving ------------------------------------------------------------------------------

    def _drive(self, seat: Seat) -> None:
        desk = seat.desk
        if desk is None:
            self._take(seat)
            return
        done: Drive = drive(desk)
        match done.left:
            case Left.ENDED | Left.HELD:
                LOG.info("%s: %s at %s", desk.job.id, desk.job.state, desk.job.step)
                self._off_the_board(seat)
            case Left.WAITING:
                self._let_wait(seat, desk.wait or Wait(desk.now))
            case Left.DROPPED if done.why is Why.MEMORY:
                # What was written last is not known: read it again.
                seat.desk = None
                self._later(seat)
            case Left.DROPPED:
                self._give_back(seat)

    def _guarded(self, what: Callable[[Seat], None], seat: Seat) -> None:
        """A thread's outermost frame: a fault of ours gives the job back, and is told."""
        seat.busy = True
        try:
            what(seat)
        except Exception:
            LOG.exception("%s is given back", seat.posting.job)
            # Not at once: another conductor would have the same trouble.
            seat.desk = None
            self._later(seat)

    # -- waiting ------------------------------------------------------------------------------

    def _let_wait(self, seat: Seat, wait: Wait) -> None:
        if seat.lease.lost:
            # While it was worked on: nobody would notice for as long as it waits.
            self._give_back(seat)
            return
        now = self._clock.monotonic()
        left = (wait.until - self._clock.now()).total_seconds()
        seat.busy = False
        self._room.enter(seat.posting.job, wait, now + self._clock.real(max(0.0, left)), now)
        if self._copies.kept(seat.posting.job):
            self._turn_has_come(seat.posting.job)  # it came while this one went to wait for it

    def _later(self, seat: Seat) -> None:
        now = self._clock.monotonic()
        seat.busy = False
        self._room.enter(seat.posting.job, Wait(self._clock.now()), now + self._set.again_s, now)

    def _wake(self) -> None:
        over, polls = self._room.due(self._clock.monotonic())
        for job in over:
            self._resume(job)
        for job in polls:
            seat = self._seats.get(job)
            if seat is not None:
                self._threads.submit(self._guarded_poll, seat)

    def _resume(self, job: str) -> None:
        seat = self._seats.get(job)
        if seat is None or seat.busy:
            return
        seat.busy = True
        self._threads.submit(self._guarded, self._drive, seat)

    def _turn_has_come(self, job: str) -> None:
        """It may copy. Where it has not sat down to wait yet, it finds its place kept."""
        self._room.leave(job)
        self._resume(job)

    def _guarded_poll(self, seat: Seat) -> None:
        job = seat.posting.job
        wait, desk = self._room.wait_of(job), seat.desk
        if wait is None or desk is None or self._leaving.is_set():
            return
        rehearsal = wait.watch is Watch.REHEARSED
        run = desk.notes.get("rehearsal") if rehearsal else desk.job.run
        try:
            polled = watching.poll(desk.machine, desk.wishes.image, wait.watch, run)
        except Exception:
            LOG.exception("%s was not looked at", job)
            polled = watching.Polled(over=False)
        if polled.sighting is not None and polled.sighting != seat.seen:
            with self._lock:
                seat.seen = self._unwritten[job] = polled.sighting
        if polled.over:
            self._room.leave(job)
            self._resume(job)
        else:
            self._room.looked(job, self._clock.monotonic())

    def _tell_seen(self) -> None:
        """Writes down how far runs are: all of them in one transaction, for people who look on."""
        with self._lock:
            seen, self._unwritten = self._unwritten, {}
        if not seen:
            return
        try:
            with self._memory.begin() as c:
                sightings.keep(c, seen, at=self._clock.now())
        except MemoryFault:
            with self._lock:
                self._unwritten = seen | self._unwritten
            raise

    def _ended_by_others(self) -> None:
        """A halt, a stop or a person has ended jobs that wait here: they are undone at once."""
        waiting = set(self._room.jobs())
        if not waiting:
            return
        with self._memory.read() as c:
            ended = jobs.ended_of(c, waiting)
        for job, state in ended.items():
            seat = self._seats.get(job)
            if seat is None or seat.desk is None or seat.desk.ending:
                continue
            if state is not JobState.HELD:
                self._room.leave(job)
                self._resume(job)

    # -- letting go ---------------------------------------------------------------------------

    def _off_the_board(self, seat: Seat) -> None:
        self._forget(seat)
        try:
            self._board.consume(seat.posting)
        except BoardFault as fault:
            # Whoever claims it next finds that it has ended, and takes it off.
            LOG.warning("%s stays on the board: %s", seat.posting.job, fault)

    def _give_back(self, seat: Seat) -> None:
        self._forget(seat)
        try:
            self._board.abandon(seat.posting)
        except BoardFault as fault:
            LOG.warning("the claim of %s runs out by itself: %s", seat.posting.job, fault)

    def _forget(self, seat: Seat) -> None:
        job = seat.posting.job
        self._heart.drop(job)
        self._room.leave(job)
        with self._lock:
            self._seats.pop(job, None)
        self._copies.give(job)

    def _lost(self, job: str) -> None:
        """A claim is somebody else's: a job that waits is forgotten, one that runs finds out."""
        seat = self._seats.get(job)
        if seat is not None and not seat.busy:
            self._forget(seat)

    # -- the night ----------------------------------------------------------------------------

    def _keep(self) -> None:
        if not self._kept:
            return
        self._kept = False
        self._keeping.submit(self._keep_guarded)

    def _keep_guarded(self) -> None:
        try:
            repost = self._turn("repost", self._set.repost_s)
            self._keeper.keep(repost=repost)
        except (MemoryFault, BoardFault) as fault:
            LOG.warning("the night is kept later: %s", fault)
        except Exception:
            LOG.exception("the night was not kept")
        finally:
            self._kept = True

    def _late(self) -> None:
        if self._asked:
            self._asked = False
            self._asking.submit(self._late_guarded)

    def _late_guarded(self) -> None:
        try:
            self._latecomers.look()
        except MemoryFault as fault:
            LOG.warning("held machines are asked later: %s", fault)
        except Exception:
            LOG.exception("held machines were not asked")
        finally:
            self._asked = True

    def _sign(self, state: str = "running") -> None:
        with self._lock:
            running = len(self._seats)
        sign = conductors.Sign(
            self._set.name,
            socket.gethostname(),
            os.getpid(),
            VERSION,
            self._started,
            self._clock.now(),
            self._set.slots,
            running,
            state,
        )
        with self._memory.begin() as c:
            conductors.beat(c, sign)
            lately = MISSED_SIGNS * self._set.sign_s / self._clock.real(1.0)
            since = self._clock.now() - timedelta(seconds=lately)
            alive = [s for s in conductors.every(c) if s.state == "running" and s.seen >= since]
        self._copies.shared_by(len(alive))
        self._first = all(self._set.name <= s.name for s in alive)
