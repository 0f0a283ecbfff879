"""Flows on TaskFlow's engine, driven by hand: every drive may be another conductor's."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from reroot_fleet.board.lease import Lease
from reroot_fleet.conductor import watching
from reroot_fleet.conductor.claiming import Site, sit_down
from reroot_fleet.conductor.late import Latecomers
from reroot_fleet.flow import graph
from reroot_fleet.flow.copies import Copies
from reroot_fleet.flow.drive import Left, drive
from reroot_fleet.flow.outcome import Watch
from reroot_fleet.flow.stop import Why
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.machine.seam import Answer
from reroot_fleet.memory import events, images, jobs, machines, nights
from reroot_fleet.policy.fold import fold
from reroot_fleet.simulation.client import SimulatedMachine
from reroot_fleet.simulation.fate import End, Fate
from reroot_fleet.simulation.model import BRISK, Model
from reroot_fleet.simulation.stage import BEGINS, IMAGE, NIGHT, hosts, policy
from reroot_fleet.simulation.world import World
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override, job_id
from reroot_fleet.values.machine_status import Mode
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy, Rehearsal
from tests.hand_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reroot_fleet.flow.desk import Desk
    from reroot_fleet.memory.database import Memory
    from reroot_fleet.values.host import Host

SHORT = replace(BRISK, deadlines=240)
"""A plan whose deadlines pass soon."""
JOB = job_id(NIGHT, "shop0000", 1)


@dataclass
class Direct:
    """The world without a socket, and with faults for each question in turn."""

    world: World
    clock: HandClock
    fails: dict[str, list[Fault]] = field(default_factory=dict)
    hooks_fail: dict[str, int] = field(default_factory=dict)

    def ask(self, *question: Any) -> Any:
        host, op, args = question
        if self.fails.get(op):
            kind = self.fails[op].pop(0)
            if kind is Fault.BROKEN:
                self._asked(host, op, args)
            raise MachineFault(kind, f"ask {op}", "as the test wants it")
        return self._asked(host, op, args)

    def _asked(self, host: str, op: str, args: Any) -> Any:
        return self.world.ask(host, op, args, (self.clock.now() - BEGINS).total_seconds())

    def call(self, name: str, host: str) -> Answer:
        if self.hooks_fail.get(name, 0) > 0:
            self.hooks_fail[name] -= 1
            return Answer(1, "the load balancer is away")
        self.ask(host, "hook", (name,))
        return Answer(0)


class Play:
    """A job, its machine, and whoever drives it."""

    def __init__(
        self,
        memory: Memory,
        fate: Fate,
        rules: Policy | None = None,
        special: Override | None = None,
    ) -> None:
        self.memory, self.clock = memory, HandClock()
        self.direct = Direct(World({"shop0000": Model("shop0000", fate, SHORT)}), self.clock)
        with memory.begin() as c:
            machines.replace_all(c, hosts(1), now=BEGINS, who="t")
            images.add(c, images.Image(IMAGE, "trixie", "/nowhere", 1, BEGINS))
            if special is not None and special.image is not None:
                images.add(c, images.Image(special.image, "other", "/nowhere", 1, BEGINS))
            window = Window(BEGINS - timedelta(hours=1), BEGINS + timedelta(hours=8))
            nights.create(c, Night(NIGHT, window, rules or policy(1)), now=BEGINS, who="t")
            nights.move(c, NIGHT, NightState.OPEN, expect=tuple(NightState), now=BEGINS, who="t")
            job = Job(JOB, NIGHT, "shop0000", IMAGE, override=special)
            jobs.queue(c, job, now=BEGINS, who="t")
            jobs.record(c, self.event(What.JOB_POSTED, wave=0))
        self.numbers = iter(range(1000))

    def event(self, what: What, **detail: Any) -> Event:
        return Event(self.clock.now(), "t", what, NIGHT, "shop0000", JOB, detail=detail)

    def claim(self) -> Desk | None:
        def machine(host: Host) -> SimulatedMachine:
            return SimulatedMachine(host, self.direct, self.clock)  # type: ignore[arg-type]

        name = f"c{next(self.numbers)}"
        site = Site(
            self.memory, self.clock, name, f"{name}#1", machine, lambda _p: self.direct,
            Copies(), threading.Event(),
        )  # fmt: skip
        return sit_down(site, JOB, Lease(1e9, 0.0))

    def to_the_end(self, *, hand_over: bool, limit: int = 400) -> Job:
        """Drives, lets waits pass, and hands over to another conductor where that is wanted."""
        desk = self.claim()
        for _ in range(limit):
            if desk is None:
                break
            done = drive(desk)
            if done.left in {Left.ENDED, Left.HELD}:
                break
            assert done.left is Left.WAITING, done
            assert desk.wait is not None, "a flow that waits for nothing would be driven at once"
            # A watched wait ends early; its poll comes every twenty seconds here.
            pause = min(desk.wait.until - self.clock.now(), timedelta(seconds=20))
            self.clock.at += max(pause, timedelta(seconds=1))
            if hand_over:
                desk = self.claim()
        with self.memory.read() as c:
            job = jobs.get(c, JOB)
            log = events.read(c, job=JOB)
        assert job is not None
        assert fold(log).jobs[JOB] == job
        return job

    @property
    def model(self) -> Model:
        return self.direct.world.models["shop0000"]

    def told(self, what: What) -> list[Event]:
        with self.memory.read() as c:
            return [e for e in events.read(c, job=JOB) if e.what is what]


@pytest.mark.parametrize("hand_over", [False, True])
def test_every_question_fails_and_the_job_is_done(memory: Memory, *, hand_over: bool) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {
        op: [Fault.SILENT] for op in ("check", "plan", "copying", "copied", "go", "confirm")
    }
    play.direct.fails["go"] = [Fault.SILENT, Fault.REFUSED]
    play.direct.fails["look"] = [Fault.SILENT, Fault.BROKEN, Fault.REFUSED]
    play.direct.hooks_fail = {"drain": 2, "confirm": 1, "undrain": 2}
    job = play.to_the_end(hand_over=hand_over)
    assert job.state is JobState.DONE
    assert len(play.model.accepted) == 1
    assert play.model.hooks == ["drain", "confirm", "undrain"]


def test_a_go_whose_answer_was_lost_is_attached_to(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {"go": [Fault.BROKEN]}
    assert play.to_the_end(hand_over=True).state is JobState.DONE
    assert len(play.model.accepted) == 1
    assert [e.detail["attached"] for e in play.told(What.GO_ACCEPTED)] == [True]


@pytest.mark.parametrize(
    ("end", "state", "hooks"),
    [
        (End.REVERTED, JobState.REVERTED, ["drain", "undrain"]),
        (End.OLD_OS_BACK, JobState.REVERTED, ["drain", "undrain"]),
        (End.COMMITTED, JobState.HELD, ["drain"]),
        (End.HELD, JobState.HELD, ["drain"]),
        (End.SILENT, JobState.HELD, ["drain"]),
        (End.UNCONFIRMED, JobState.HELD, ["drain"]),
    ],
)
def test_how_a_run_ends_is_how_the_job_does(
    memory: Memory, end: End, state: JobState, hooks: list[str]
) -> None:
    play = Play(memory, Fate([end]))
    job = play.to_the_end(hand_over=True)
    assert (job.state, play.model.hooks) == (state, hooks)
    assert play.model.gos == 1
    assert job.cause


@pytest.mark.parametrize("fate", [Fate(wrong_key=True), Fate(refuses="memory")])
def test_a_machine_that_may_not_go_is_refused_and_never_told_go(memory: Memory, fate: Fate) -> None:
    play = Play(memory, fate)
    job = play.to_the_end(hand_over=False)
    assert (job.state, play.model.gos, play.model.hooks) == (JobState.REFUSED, 0, [])


def test_who_is_not_let_into_the_ram_environment_waits(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    while not play.told(What.GO_ACCEPTED):
        assert drive(desk).left is Left.WAITING
        assert desk.wait is not None
        play.clock.at += timedelta(seconds=20)
    play.direct.fails["look"] = [Fault.LOGIN] * 5
    assert play.to_the_end(hand_over=True).state is JobState.DONE
    assert not play.told(What.STEP_FAILED), "it is no failure of the step"


def test_a_load_balancer_that_stays_away_reverts_before_go(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.hooks_fail = {"drain": 1000}
    job = play.to_the_end(hand_over=True)
    assert job.state is JobState.REVERTED
    assert play.model.gos == 0
    assert play.model.hooks == ["undrain"]  # nobody knows what half of it did


def test_who_has_lost_the_epoch_writes_nothing_more(memory: Memory) -> None:
    play = Play(memory, Fate())
    first = play.claim()
    second = play.claim()
    assert first is not None
    assert second is not None
    done = drive(first)
    assert (done.left, done.why) == (Left.DROPPED, Why.FENCED)
    assert play.told(What.STEP_BEGUN) == []
    assert play.model.asked == 0


def test_nothing_begins_when_the_claim_is_not_believed_in_any_more(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    desk.lease.lose()
    done = drive(desk)
    assert (done.left, done.why) == (Left.DROPPED, Why.CLAIM)
    assert play.told(What.STEP_BEGUN) == []


def test_a_withdrawn_job_that_was_drained_is_given_back(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {"go": [Fault.SILENT]}
    desk = play.claim()
    assert desk is not None
    # It waits before `go` was ever obeyed; its intent is recorded, so only its ticket's end tells.
    while not play.told(What.GO_INTENDED):
        assert drive(desk).left is Left.WAITING
        play.clock.sleep(20)
    with memory.begin() as c:
        nights.move(
            c, NIGHT, NightState.HALTED, expect=(NightState.OPEN,), now=BEGINS, who="t", cause="t"
        )
    job = play.to_the_end(hand_over=True)
    assert job.state is JobState.REVERTED  # behind an intent the log has no withdrawal
    assert job.cause == "the night is halted"
    assert play.model.accepted == []
    assert play.model.hooks == ["drain", "undrain"]


def test_a_paused_night_waits_before_go_and_goes_when_it_is_resumed(memory: Memory) -> None:
    play = Play(memory, Fate())
    with memory.begin() as c:
        nights.move(
            c, NIGHT, NightState.PAUSED, expect=(NightState.OPEN,), now=BEGINS, who="t", cause="t"
        )
    desk = play.claim()
    assert desk is not None
    for _ in range(5):
        assert drive(desk).left is Left.WAITING
        play.clock.sleep(60)
    assert play.model.gos == 0
    with memory.begin() as c:
        nights.move(c, NIGHT, NightState.OPEN, expect=(NightState.PAUSED,), now=BEGINS, who="t")
    assert play.to_the_end(hand_over=True).state is JobState.DONE


def test_a_job_of_a_flow_that_this_release_does_not_know_is_left_alone(memory: Memory) -> None:
    play = Play(memory, Fate())
    with memory.begin() as c:
        other = Job(job_id(NIGHT, "shop0000", 2), NIGHT, "shop0000", IMAGE, 2, flow="99")
        jobs.record(c, play.event(What.JOB_WITHDRAWN, cause="make room"))
        jobs.queue(c, other, now=BEGINS, who="t")
    desk = play.claim()
    assert desk is None  # nothing was drained for the first one, and it has ended


def test_a_go_that_the_machine_never_obeys_is_taken_back_and_wakes_nobody(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {"go": [Fault.REFUSED] * 10}
    job = play.to_the_end(hand_over=True)
    assert (job.state, play.model.accepted) == (JobState.REVERTED, [])
    assert play.model.hooks == ["drain", "undrain"]


def test_a_go_that_was_obeyed_and_never_answered_for_is_held(memory: Memory) -> None:
    play = Play(memory, Fate())
    # Obeyed with the last try, and then the machine is not seen any more.
    play.direct.fails = {"go": [Fault.REFUSED] * 9 + [Fault.BROKEN]}
    job = play.to_the_end(hand_over=True)
    assert job.state is JobState.HELD
    assert len(play.model.accepted) == 1
    assert play.model.hooks == ["drain"]


def test_what_is_undone_has_tries_of_its_own(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {"go": [Fault.REFUSED] * 10}
    play.direct.hooks_fail = {"undrain": 3}
    job = play.to_the_end(hand_over=True)
    assert job.state is JobState.REVERTED
    assert play.model.hooks == ["drain", "undrain"]


def _asked_late(play: Play) -> list[Event]:
    def machine(host: Host) -> SimulatedMachine:
        return SimulatedMachine(host, play.direct, play.clock)  # type: ignore[arg-type]

    play.clock.at += timedelta(hours=1)
    Latecomers(play.memory, play.clock, "late", machine).look()
    return play.told(What.JOB_TAKEN_UP)


def _held_in_silence(memory: Memory) -> Play:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    while not play.told(What.GO_ACCEPTED):
        assert drive(desk).left is Left.WAITING
        play.clock.sleep(20)
    play.direct.fails = {"look": [Fault.SILENT] * 1000, "greet": [Fault.SILENT] * 1000}
    assert play.to_the_end(hand_over=True).state is JobState.HELD
    return play


def test_a_held_machine_that_answers_after_all_is_taken_up_where_it_stood(memory: Memory) -> None:
    play = _held_in_silence(memory)
    assert _asked_late(play) == []  # it is silent still
    play.direct.fails = {}
    (taken,) = _asked_late(play)
    assert "the new OS is in place" in str(taken.detail["evidence"])
    job = play.to_the_end(hand_over=True)
    assert (job.state, job.cause) == (JobState.DONE, None)
    assert play.model.gos == 1
    assert play.model.hooks == ["drain", "confirm", "undrain"]


def test_a_machine_that_is_back_in_its_old_os_after_all_reverts_its_job(memory: Memory) -> None:
    play = _held_in_silence(memory)
    play.direct.fails = {}
    play.model.runs[-1].end = End.OLD_OS_BACK
    assert len(_asked_late(play)) == 1
    assert play.to_the_end(hand_over=True).state is JobState.REVERTED
    assert play.model.hooks == ["drain", "undrain"]


def test_what_is_held_again_for_the_same_thing_waits_for_a_person(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.hooks_fail = {"confirm": 1000}
    assert play.to_the_end(hand_over=False).state is JobState.HELD
    assert len(_asked_late(play)) == 1
    assert play.to_the_end(hand_over=True).state is JobState.HELD
    assert len(_asked_late(play)) == 1


def test_a_machine_behind_the_commit_point_is_not_taken_up(memory: Memory) -> None:
    play = Play(memory, Fate([End.COMMITTED]))
    assert play.to_the_end(hand_over=False).state is JobState.HELD
    assert _asked_late(play) == []


# -- what the RAM environment tells ---------------------------------------------------------------


def _until_it_waits_for_its_new_os(play: Play) -> Desk:
    desk = play.claim()
    assert desk is not None
    while drive(desk).left is Left.WAITING:
        assert desk.wait is not None
        if desk.wait.watch is Watch.SETTLED:
            return desk
        while not _poll(desk):
            play.clock.sleep(1)
    raise AssertionError(desk.job)


def test_a_run_that_goes_on_in_ram_is_waited_for_and_tells_how_far_it_is(memory: Memory) -> None:
    play = Play(memory, Fate(ram_ssh=True))
    desk = _until_it_waits_for_its_new_os(play)
    (left,) = play.told(What.MACHINE_SILENT)
    assert left.detail == {"place": "ram"}
    seen = []
    while not (polled := _polled(desk)).over:
        seen.append(polled.sighting)
        play.clock.sleep(1)
    in_ram = [sighting for sighting in seen if sighting is not None]
    assert {sighting.step for sighting in in_ram} == {"wipe", "unpack", "carry", "loader"}
    assert all(sighting.in_ram and sighting.percent is not None for sighting in in_ram)
    assert seen[-1] is None  # it boots
    assert play.to_the_end(hand_over=True).state is JobState.DONE


def test_a_run_that_holds_in_ram_wants_a_person_at_once(memory: Memory) -> None:
    play = Play(memory, Fate([End.HELD], ram_ssh=True))
    desk = _until_it_waits_for_its_new_os(play)
    while not _poll(desk):
        play.clock.sleep(1)
    assert drive(desk).left is Left.HELD
    (held,) = play.told(What.JOB_HELD)
    assert "holds in the RAM environment: " in str(held.detail["cause"])
    assert "log in" in str(held.detail["cause"])
    assert desk.job.deadline is not None
    assert desk.job.deadline - held.at > timedelta(minutes=3)
    # Nobody says go to it, and it is not taken up for the same thing.
    assert _asked_late(play) == []
    assert play.model.gos == 1
    assert play.model.hooks == ["drain"]


def test_a_go_that_finds_its_run_holding_in_ram_wants_a_person(memory: Memory) -> None:
    play = Play(memory, Fate([End.HELD], ram_ssh=True))
    play.direct.fails = {"go": [Fault.BROKEN]}
    first = play.claim()
    assert first is not None
    drive(first)  # the answer to its go was lost
    play.clock.sleep(60)
    assert play.to_the_end(hand_over=True).state is JobState.HELD
    assert play.told(What.JOB_HELD)[0].at < (first.job.deadline or play.clock.now())
    assert play.model.gos == 1


REHEARSES = Policy(
    rehearsal=Rehearsal.REQUIRED,
    hooks={"drain": "drain", "undrain": "undrain", "confirm": "confirm"},
)


ASKED = Override("ann", "its first of this model", rehearse=True)
OTHER_IMAGE = Override("ann", "an older one", image="1" * 64)


@pytest.mark.parametrize("hand_over", [False, True])
@pytest.mark.parametrize(
    ("rules", "special", "rehearsed"),
    [
        (REHEARSES, None, True),
        (REHEARSES, OTHER_IMAGE, True),
        (replace(REHEARSES, rehearsal=Rehearsal.OPTIONAL), ASKED, True),
        (replace(REHEARSES, rehearsal=Rehearsal.OPTIONAL), None, False),
        (replace(REHEARSES, rehearsal=Rehearsal.NONE), ASKED, False),
    ],
)
def test_a_machine_is_rehearsed_once_where_it_is_wanted_and_then_goes(
    memory: Memory, rules: Policy, special: Override | None, *, rehearsed: bool, hand_over: bool
) -> None:
    play = Play(memory, Fate(), rules=rules, special=special)
    assert play.to_the_end(hand_over=hand_over).state is JobState.DONE
    modes = [run.mode for run in play.model.runs]
    assert modes == [Mode.REHEARSE] * rehearsed + [Mode.REINSTALL]
    assert play.model.gos == 1


@pytest.mark.parametrize(
    ("fate", "why"),
    [
        (Fate([End.SILENT]), "the machine is silent in its rehearsal, and the plan's deadlines"),
        (Fate([End.HELD], ram_ssh=True), "the rehearsal holds in the RAM environment"),
    ],
)
def test_a_machine_that_does_not_come_back_from_its_rehearsal_wants_a_person(
    memory: Memory, fate: Fate, why: str
) -> None:
    play = Play(memory, fate, rules=REHEARSES)
    play.model.rehearsal_comes_back = False
    job = play.to_the_end(hand_over=True)
    assert job.state is JobState.HELD
    assert why in str(job.cause)
    assert play.model.gos == 0
    assert play.model.hooks == []


# -- how little is written, and what becomes of it ------------------------------------------------


@contextmanager
def writes(memory: Memory) -> Iterator[list[list[str]]]:
    """The transactions that write, each with the tables that it writes to."""
    done: list[list[str]] = []
    now: list[str] = []

    def says(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        words = statement.split(None, 3)
        if words[0] in {"INSERT", "UPDATE"}:
            now.append(words[2] if words[0] == "INSERT" else words[1])

    def commits(_c: Any) -> None:
        if now:
            done.append(now.copy())
            now.clear()

    event.listen(memory.engine, "before_cursor_execute", says)
    event.listen(memory.engine, "commit", commits)
    yield done
    event.remove(memory.engine, "before_cursor_execute", says)
    event.remove(memory.engine, "commit", commits)


def _poll(desk: Desk) -> bool:
    return _polled(desk).over


def _polled(desk: Desk) -> watching.Polled:
    assert desk.wait is not None
    return watching.poll(desk.machine, IMAGE, desk.wait.watch, desk.job.run)


def test_a_poll_that_finds_nothing_new_writes_nothing_and_asks_no_engine(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    drives, polls = 0, 0
    with writes(memory) as written:
        while drive(desk).left is Left.WAITING:
            drives += 1
            assert desk.wait is not None
            before = len(written)
            while play.clock.at < desk.wait.until and not _poll(desk):
                polls += 1
                play.clock.sleep(1)
            assert len(written) == before
    assert desk.job.state is JobState.DONE
    assert polls > 10
    assert drives == 3  # it went away, it answered, its first boot compared itself
    assert len(written) == 14


def _drive_until(play: Play, desk: Desk, watch: Watch) -> None:
    while drive(desk).left is Left.WAITING:
        assert desk.wait is not None
        if desk.wait.watch is watch:
            return
        while not _poll(desk):
            play.clock.sleep(1)


def test_a_first_boot_that_does_not_answer_is_asked_by_its_step(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    _drive_until(play, desk, Watch.CONFIRMED)
    assert not _poll(desk)
    play.direct.fails = {"greet": [Fault.SILENT], "confirm": [Fault.SILENT]}
    assert _poll(desk)
    assert drive(desk).left is Left.WAITING
    assert [e.detail["step"] for e in play.told(What.STEP_FAILED)] == ["confirm"]
    assert play.to_the_end(hand_over=True).state is JobState.DONE


def test_a_poll_that_is_not_let_into_the_ram_environment_asks_no_engine(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    _drive_until(play, desk, Watch.SETTLED)
    play.clock.sleep(60)
    play.direct.fails = {"look": [Fault.LOGIN, Fault.HOST_KEY]}
    assert not _poll(desk)
    assert _poll(desk)  # another key is another machine: the step says what becomes of that
    assert _poll(desk)


def test_that_a_step_is_done_is_written_with_the_beginning_of_the_next(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    with writes(memory) as written:
        drive(desk)
    together = ["flow_records", "jobs", "events"]
    assert written.count(together) == len(written)
    done = [e.detail["step"] for e in play.told(What.STEP_DONE)]
    begun = [e.detail["step"] for e in play.told(What.STEP_BEGUN)]
    assert begun == [*done, "silence"]


def _lost_while_it_drains(play: Play, desk: Desk) -> None:
    call = play.direct.call

    def lost(name: str, host: str) -> Answer:
        desk.lease.lose()
        return call(name, host)

    play.direct.call = lost  # type: ignore[method-assign]
    done = drive(desk)
    play.direct.call = call  # type: ignore[method-assign]
    assert (done.left, done.why) == (Left.DROPPED, Why.CLAIM)


def test_a_claim_that_is_lost_between_two_steps_writes_no_word_more(memory: Memory) -> None:
    play = Play(memory, Fate())
    first = play.claim()
    assert first is not None
    _lost_while_it_drains(play, first)
    assert [e.what for e in first.unsaid] == [What.STEP_DONE]
    assert "drain" not in [e.detail["step"] for e in play.told(What.STEP_DONE)]
    # Whoever takes the job over does the step again, and the first one's word is refused for ever.
    second = play.claim()
    assert second is not None
    first.lease = second.lease
    done = drive(first)
    assert (done.left, done.why) == (Left.DROPPED, Why.FENCED)
    assert play.to_the_end(hand_over=False).state is JobState.DONE
    assert play.model.hooks == ["drain", "drain", "confirm", "undrain"]
    assert play.model.gos == 1


def test_a_conductor_that_ends_says_its_last_words(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    call = play.direct.call

    def ends(name: str, host: str) -> Answer:
        desk.seams.leaving.set()
        return call(name, host)

    play.direct.call = ends  # type: ignore[method-assign]
    done = drive(desk)
    play.direct.call = call  # type: ignore[method-assign]
    assert (done.left, done.why) == (Left.DROPPED, Why.ENDING)
    assert play.told(What.STEP_DONE)[-1].detail["step"] == "drain"
    assert play.to_the_end(hand_over=True).state is JobState.DONE
    assert play.model.hooks == ["drain", "confirm", "undrain"]  # and nobody does it again


def test_what_is_withdrawn_while_a_step_is_done_is_undone(memory: Memory) -> None:
    play = Play(memory, Fate())
    desk = play.claim()
    assert desk is not None
    call = play.direct.call

    def withdrawn(name: str, host: str) -> Answer:
        if name == "drain":
            with memory.begin() as c:
                jobs.record(c, play.event(What.JOB_WITHDRAWN, cause="somebody needs it"))
        return call(name, host)

    play.direct.call = withdrawn  # type: ignore[method-assign]
    assert drive(desk).left is Left.ENDED
    play.direct.call = call  # type: ignore[method-assign]
    job = play.to_the_end(hand_over=True)
    assert (job.state, job.cause) == (JobState.WITHDRAWN, "somebody needs it")
    assert play.model.hooks == ["drain", "undrain"]
    assert play.model.gos == 0
    assert [e.detail["step"] for e in play.told(What.STEP_DONE)][-1] == "drain"


def test_a_flow_is_put_together_once_and_belongs_to_nobody_when_it_rests(memory: Memory) -> None:
    play = Play(memory, Fate())
    play.direct.fails = {"look": [Fault.SILENT, Fault.SILENT]}
    play.to_the_end(hand_over=True)
    at_rest = graph._AT_REST[graph.NEWEST]
    assert len(at_rest) == 1
    assert at_rest[0].hand.at is None
