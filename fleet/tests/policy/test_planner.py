"""The planner, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reroot_fleet.policy.decision import Decision, Severity, StopKind
from reroot_fleet.policy.gates import Passage, wave_state
from reroot_fleet.policy.history import ALONE_FROM, History
from reroot_fleet.values.host import MachineClass, Protects
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import NightState
from reroot_fleet.values.policy import HOURLY_CAP, Budget, Gate, Limits, Waves
from tests.policy.scene import (
    CLOSES,
    IMAGE,
    METAL,
    NO_BAKE,
    NOW,
    OPENS,
    VIRTIO,
    WIDE,
    decided,
    host,
    hosts,
    job,
    night,
    proven,
    queued,
    started,
)

S = JobState


def reasons(decision: Decision) -> set[str]:
    return set(decision.withheld)


# -- when


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (NightState.PLANNED, "the night is planned"),
        (NightState.PAUSED, "the night is paused: tea"),
        (NightState.HALTED, "the night is halted: tea"),
        (NightState.CLOSED, "the night is closed"),
    ],
)
def test_nothing_starts_in_a_night_that_is_not_open(state: NightState, says: str) -> None:
    machines = hosts(3)
    decision = decided(machines, queued(machines), night(state, cause="tea"))
    assert started(decision) == []
    (why,) = decision.withheld
    assert why.startswith(says)


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        pytest.param(OPENS - timedelta(seconds=1), False, id="before"),
        pytest.param(OPENS, True, id="as it opens"),
        pytest.param(CLOSES - timedelta(hours=2), True, id="just long enough"),
        pytest.param(CLOSES - timedelta(hours=2) + timedelta(seconds=1), False, id="too late"),
        pytest.param(CLOSES, False, id="as it closes"),
    ],
)
@pytest.mark.parametrize("deadlines_s", [None, 7200])
def test_a_job_starts_only_if_its_deadlines_end_before_the_window(
    now: Any, deadlines_s: int | None, *, starts: bool
) -> None:
    machines = hosts(1)
    decision = decided(machines, queued(machines, deadlines_s=deadlines_s), now=now)
    assert bool(decision.post) is starts


def test_a_short_plan_starts_where_a_long_one_does_not() -> None:
    machines = hosts(2)
    jobs = [job("m0", deadlines_s=7201), job("m1", deadlines_s=600)]
    decision = decided(machines, jobs, now=CLOSES - timedelta(hours=2))
    assert started(decision) == ["m1"]


def test_before_the_window_the_next_look_is_when_it_opens() -> None:
    machines = hosts(3)
    early = OPENS - timedelta(hours=9)
    assert decided(machines, queued(machines), now=early).look_again == OPENS


# -- how many at once


@pytest.mark.parametrize(
    ("limits", "facts", "starts"),
    [
        ({"total": 2}, {}, 2),
        ({"customer": 3}, {"customer": "acme"}, 3),
        ({"rack": 1}, {"rack": "r1"}, 1),
        ({"hypervisor": 2}, {"hypervisor": "hv1"}, 2),
        ({"image": 4}, {}, 4),
        ({"night": 3}, {}, 3),
        ({"hour": 2}, {}, 2),
        ({"per": {"site": 1}}, {"labels": {"site": "fra"}}, 1),
        ({"customer": 3}, {}, 6),
    ],
)
def test_a_limit_is_kept(limits: dict[str, Any], facts: dict[str, Any], starts: int) -> None:
    machines = hosts(6, **facts)
    it = night(limits=replace(WIDE, **limits))
    assert len(decided(machines, queued(machines), it).post) == starts


@pytest.mark.parametrize(
    ("state", "takes"),
    [
        (S.POSTED, True),
        (S.RUNNING, True),
        (S.HELD, True),
        (S.DONE, False),
        (S.REVERTED, False),
        (S.REFUSED, False),
        (S.WITHDRAWN, False),
    ],
)
def test_what_is_on_its_way_or_waits_for_a_person_keeps_its_places(
    state: JobState, *, takes: bool
) -> None:
    machines = [host("m0", customer="acme", machine_class=METAL), host("m1", customer="acme")]
    it = night(
        limits=replace(WIDE, customer=1),
        budget=Budget(reverted_pauses=1),
        gate=replace(NO_BAKE, reverted=1),
    )
    decision = decided(machines, [job("m0", state, wave=7), job("m1")], it)
    assert started(decision) == ([] if takes else ["m1"])
    if takes:
        assert reasons(decision) == {"customer acme has 1 at once"}


def test_a_machine_of_another_night_that_is_held_takes_its_place() -> None:
    machines = [host("m0", rack="r1"), host("m1", rack="r1"), host("m2")]
    it = night(limits=replace(WIDE, rack=1))
    history = proven(active_elsewhere=("m0",))
    assert started(decided(machines, queued(machines), it, history)) == ["m2"]


@pytest.mark.parametrize("hour", [HOURLY_CAP, 10 * HOURLY_CAP])
def test_no_policy_raises_the_hourly_cap(hour: int) -> None:
    machines = hosts(3 * HOURLY_CAP)
    limits = Limits(10**6, 10**6, 10**6, 10**6, 10**6, 10**6, 10**6)
    it = night(limits=replace(limits, hour=hour), waves=Waves(ramp=(10**6,)))
    assert len(decided(machines, queued(machines), it).post) == HOURLY_CAP


def test_the_cap_counts_all_nights_and_gives_way_an_hour_later() -> None:
    machines = hosts(5)
    history = proven(posted=(NOW - timedelta(minutes=50), NOW - timedelta(minutes=20)))
    it = night(limits=replace(WIDE, hour=2))
    decision = decided(machines, queued(machines), it, history)
    assert started(decision) == []
    assert decision.look_again == NOW + timedelta(minutes=10)
    later = decided(machines, queued(machines), it, history, now=NOW + timedelta(minutes=10))
    assert len(later.post) == 1


# -- canaries


def test_one_canary_for_each_class_goes_first() -> None:
    machines = [*hosts(5), *hosts(5, "b", machine_class=METAL)]
    decision = decided(machines, queued(machines), history=History())
    assert [(p.host, p.wave) for p in decision.post] == [("m0", 0), ("b0", 0)]
    assert reasons(decision) == {"its class's canary is on its way"}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_as_many_canaries_as_the_policy_says(n: int) -> None:
    machines = hosts(5)
    it = night(waves=Waves(canaries=n))
    assert len(decided(machines, queued(machines), it, History()).post) == n


def test_another_image_wants_canaries_of_its_own() -> None:
    machines = hosts(4)
    jobs = [job("m0"), job("m1"), job("m2", image="d2"), job("m3", image="d2")]
    decision = decided(machines, jobs, history=proven(VIRTIO))
    assert [(p.host, p.wave) for p in decision.post] == [("m2", 0), ("m0", 1), ("m1", 1)]


@pytest.mark.parametrize(
    ("canary", "minutes", "starts", "why"),
    [
        (S.RUNNING, 0, [], "its class's canary is on its way"),
        (S.DONE, 29, [], "its class's canary has not run long enough yet"),
        (S.DONE, 30, ["m1", "m2"], None),
        (S.REVERTED, 60, [], "its class's canary failed"),
        (S.REFUSED, 0, ["m1"], "its class's canary is on its way"),
        (S.WITHDRAWN, 0, ["m1"], "its class's canary is on its way"),
    ],
)
def test_its_class_waits_for_the_canary(
    canary: JobState, minutes: int, starts: list[str], why: str | None
) -> None:
    machines = hosts(3)
    it = night(budget=Budget(reverted_pauses=1))
    begun = job("m0", canary, wave=0)
    if canary.ended:
        begun = replace(begun, ended_at=NOW - timedelta(minutes=minutes))
    decision = decided(machines, [begun, job("m1"), job("m2")], it, History())
    assert started(decision) == starts
    assert reasons(decision) == ({why} if why else set())


def test_a_canary_that_has_baked_is_told_as_an_open_gate() -> None:
    machines = hosts(2)
    begun = job("m0", S.DONE, wave=0)
    (gate,) = decided(machines, [begun, job("m1")], history=History()).gates
    assert (gate.machine_class, gate.wave) == (VIRTIO.key, 0)


def test_what_a_canary_proved_is_its_class_as_it_was_queued() -> None:
    new = replace(VIRTIO, old_os="debian 13")
    machines = [host("m0", machine_class=new), host("m1")]
    begun = job("m0", S.DONE, wave=0, machine_class=VIRTIO.key)
    assert started(decided(machines, [begun, job("m1")], history=History())) == ["m1"]


# -- the ramp


@pytest.mark.parametrize(("stage", "size"), [(0, 5), (1, 20), (2, 100), (3, 200), (9, 200)])
def test_the_ramp(stage: int, size: int) -> None:
    machines = hosts(300)
    it = night(waves=Waves(), limits=replace(WIDE, total=500))
    decision = decided(machines, queued(machines), it, proven(stage=stage))
    assert len(decision.post) == size
    assert {p.wave for p in decision.post} == {1}


def test_a_wave_is_filled_up_as_its_machines_are_refused() -> None:
    machines = hosts(10)
    jobs = [*(job(f"m{i}", S.REFUSED) for i in range(2)), *(job(f"m{i}") for i in range(2, 10))]
    decision = decided(machines, jobs, night(waves=Waves()), proven())
    assert started(decision) == [f"m{i}" for i in range(2, 7)]


def test_one_wave_of_the_ramp_a_night() -> None:
    machines = hosts(30)
    jobs = [*(job(f"m{i}", S.DONE) for i in range(5)), *(job(f"m{i}") for i in range(5, 30))]
    decision = decided(machines, jobs, night(waves=Waves()), proven())
    assert reasons(decision) == {"tonight's waves are over"}


@pytest.mark.parametrize(
    ("last", "minutes", "starts", "why"),
    [
        (S.DONE, 30, 20, "the wave of 20 is full"),
        (S.DONE, 29, 0, "the wave of 5 has not run long enough yet"),
        (S.RUNNING, 60, 0, "the wave of 5 is on its way"),
        (S.REVERTED, 60, 0, "the wave of 5 failed"),
    ],
)
def test_the_next_wave_waits_for_the_gate(
    last: JobState, minutes: int, starts: int, why: str
) -> None:
    machines = hosts(40)
    begun = [job(f"m{i}", S.DONE, ended_at=NOW - timedelta(minutes=minutes)) for i in range(4)]
    it = night(waves=Waves(a_night=2), budget=Budget(reverted_pauses=1))
    jobs = [*begun, job("m4", last, ended_at=None), *(job(f"m{i}") for i in range(5, 40))]
    decision = decided(machines, jobs, it, proven())
    assert len(decision.post) == starts
    assert {p.wave for p in decision.post} <= {2}
    assert reasons(decision) == {why}


def test_a_policy_may_let_a_wave_have_a_revert() -> None:
    machines = hosts(10)
    begun = [*(job(f"m{i}", S.DONE) for i in range(4)), job("m4", S.REVERTED)]
    it = night(waves=Waves(a_night=2), budget=Budget(reverted_pauses=1), gate=Gate(reverted=1))
    decision = decided(machines, [*begun, *(job(f"m{i}") for i in range(5, 10))], it, proven())
    assert len(decision.post) == 5


def test_jobs_of_two_images_have_a_ramp_each() -> None:
    machines = hosts(20)
    jobs = [job(f"m{i}", image="d2" if i % 2 else IMAGE) for i in range(20)]
    both = History(proven=frozenset((VIRTIO.key, d) for d in (IMAGE, "d2")))
    decision = decided(machines, jobs, night(waves=Waves()), both)
    assert len(decision.post) == 10


# -- the failure budget


def test_one_hold_stops_its_class_and_no_other() -> None:
    machines = [*hosts(3), *hosts(2, "b", machine_class=METAL)]
    jobs = [job("m0", S.HELD), job("m1", S.RUNNING), job("m2"), job("b0"), job("b1")]
    it = night(gate=NO_BAKE)
    decision = decided(machines, jobs, it)
    (stop,) = decision.stop
    assert (stop.kind, stop.machine_class) == (StopKind.CLASS, VIRTIO.key)
    assert [w.job for w in decision.withdraw] == ["2026-01-10/m1/1"]
    assert all(why.startswith("its class is stopped") or "wave" in why for why in reasons(decision))
    assert "m2" not in started(decision)


def test_a_class_that_is_stopped_is_not_stopped_again() -> None:
    machines = hosts(2)
    it = night(stopped_classes=frozenset({VIRTIO.key}))
    decision = decided(machines, [job("m0", S.HELD), job("m1")], it)
    assert decision.stop == ()
    assert reasons(decision) == {"its class is stopped"}


def test_a_hold_of_an_earlier_night_still_stops_its_class() -> None:
    machines = [*hosts(2), *hosts(2, "b", machine_class=METAL)]
    decision = decided(machines, queued(machines), history=proven(open_holds={METAL.key: 1}))
    assert started(decision) == ["m0", "m1"]


@pytest.mark.parametrize("second", [S.HELD, S.RESTORED])
def test_two_holds_stop_the_night(second: JobState) -> None:
    machines = [*hosts(4), host("b0", machine_class=METAL)]
    jobs = [
        job("m0", S.HELD),
        job("b0", second),
        job("m1", S.POSTED),
        job("m2", S.RUNNING, go_at=NOW, deadline=NOW + timedelta(hours=1)),
        job("m3"),
    ]
    decision = decided(machines, jobs)
    halt = next(s for s in decision.stop if s.kind is StopKind.HALT)
    assert "b0, m0" in halt.cause
    assert started(decision) == []
    assert [w.job for w in decision.withdraw] == ["2026-01-10/m1/1"], "m2 may have said go"


@pytest.mark.parametrize(
    ("reverted", "others", "pauses"),
    [(1, 33, False), (1, 32, True), (1, 31, True), (3, 97, False), (4, 97, True), (1, 0, True)],
)
def test_more_than_three_percent_reverted_pause_the_night(
    reverted: int, others: int, *, pauses: bool
) -> None:
    machines = hosts(reverted + others + 1)
    states = [S.REVERTED] * reverted + [S.DONE] * others
    jobs = [*(job(f"m{i}", s) for i, s in enumerate(states)), job(machines[-1].name)]
    decision = decided(machines, jobs, night(gate=replace(NO_BAKE, reverted=9)))
    assert [s.kind for s in decision.stop] == ([StopKind.PAUSE] if pauses else [])
    assert bool(decision.post) is not pauses
    assert decision.withdraw == (), "a pause takes nothing back"


def test_refused_and_withdrawn_jobs_neither_count_nor_dilute() -> None:
    machines = hosts(102)
    jobs = [job(f"m{i}", S.REFUSED if i % 2 else S.WITHDRAWN) for i in range(100)]
    decision = decided(machines, [*jobs, job("m100", S.REVERTED), job("m101")])
    assert [s.kind for s in decision.stop] == [StopKind.PAUSE]


def test_reverts_that_a_person_has_looked_at_pause_no_more() -> None:
    machines = hosts(3)
    jobs = [job("m0", S.REVERTED, ended_at=NOW - timedelta(hours=1)), job("m1"), job("m2")]
    it = replace(night(gate=Gate(reverted=1)), resumed_at=NOW - timedelta(minutes=1))
    assert started(decided(machines, jobs, it)) == ["m1", "m2"]
    jobs[1] = job("m1", S.REVERTED, ended_at=NOW)
    assert [s.kind for s in decided(machines, jobs, it).stop] == [StopKind.PAUSE]


def running(deadline: Any, **fields: Any) -> Job:
    return job("m0", S.RUNNING, go_at=OPENS, deadline=deadline, **fields)


def test_past_its_deadline_counts_as_failed() -> None:
    machines = hosts(2)
    jobs = [running(NOW), job("m1")]
    decision = decided(machines, jobs)
    assert decision.late == ("2026-01-10/m0/1",)
    assert [s.kind for s in decision.stop] == [StopKind.CLASS]
    assert started(decision) == []
    in_time = decided(machines, [running(NOW + timedelta(seconds=1)), job("m1")])
    assert in_time.late == ()
    assert started(in_time) == ["m1"]
    assert in_time.look_again == NOW + timedelta(seconds=1)


def test_what_never_comes_to_go_counts_as_reverted_and_is_taken_back() -> None:
    machines = hosts(2)
    begun = job("m0", S.RUNNING, posted_at=NOW - timedelta(hours=2))
    decision = decided(machines, [begun, job("m1")])
    assert [s.kind for s in decision.stop] == [StopKind.PAUSE]
    assert [w.job for w in decision.withdraw] == [begun.id]


def test_a_halted_night_takes_back_what_has_not_said_go() -> None:
    machines = hosts(3)
    jobs = [job("m0", S.POSTED), job("m1", S.RUNNING), running(CLOSES, id="x", host="m2")]
    decision = decided(machines, jobs, night(NightState.HALTED, cause="by ann"))
    assert [(w.job, w.cause) for w in decision.withdraw] == [
        ("2026-01-10/m0/1", "by ann"),
        ("2026-01-10/m1/1", "by ann"),
    ]


# -- what stands on what


def test_a_hypervisor_does_not_go_with_what_it_carries() -> None:
    machines = [host("hv1"), host("m0", hypervisor="hv1"), host("m1")]
    decision = decided(machines, queued(machines))
    assert started(decision) == ["hv1", "m1"]
    decision = decided(machines, [job("m0"), job("hv1"), job("m1")])
    assert started(decision) == ["m0", "m1"]
    assert reasons(decision) == {"what carries a machine and the machine do not go at once"}


def test_nor_in_the_same_wave_when_the_other_has_ended() -> None:
    machines = [host("hv1"), host("m0", hypervisor="hv1")]
    decision = decided(machines, [job("m0", S.DONE), job("hv1")])
    assert reasons(decision) == {
        "what carries a machine and the machine do not go in the same wave"
    }
    decision = decided(machines, [job("hv1", S.DONE), job("m0")])
    assert started(decision) == []


def test_nor_a_jump_host_with_what_is_reached_through_it() -> None:
    machines = [host("gate"), host("hv1", jump_host="gate"), host("m0", hypervisor="hv1")]
    assert started(decided(machines, queued(machines))) == ["gate"]


def test_nor_while_it_waits_for_a_person() -> None:
    machines = [host("hv1", machine_class=METAL), host("m0", hypervisor="hv1")]
    it = night(stopped_classes=frozenset({METAL.key}))
    decision = decided(machines, [job("hv1", S.HELD, wave=9), job("m0")], it)
    assert started(decision) == []


@pytest.mark.parametrize("what", [Protects.CONDUCTOR, Protects.DATABASE, Protects.BOARD])
def test_what_the_fleet_stands_on_goes_alone(what: Protects) -> None:
    machines = [host("own", protects=frozenset({what})), *hosts(2)]
    decision = decided(machines, queued(machines))
    assert started(decision) == ["m0", "m1"]
    assert reasons(decision) == {"the fleet stands on it: it goes when nothing else does"}
    alone = decided(machines, [job("own"), job("m0", S.DONE), job("m1", S.DONE)])
    assert [(p.host, p.wave) for p in alone.post] == [("own", ALONE_FROM)]


def test_two_of_the_fleets_own_go_one_after_the_other() -> None:
    machines = hosts(2, "own", protects=frozenset({Protects.CONDUCTOR}))
    assert started(decided(machines, queued(machines))) == ["own0"]
    then = decided(machines, [job("own0", S.DONE, wave=ALONE_FROM), job("own1")])
    assert [(p.host, p.wave) for p in then.post] == [("own1", ALONE_FROM + 1)]


def test_nothing_starts_beside_a_machine_of_the_fleet() -> None:
    machines = [host("own", protects=frozenset({Protects.DATABASE})), host("m0")]
    decision = decided(machines, [job("own", S.RUNNING, wave=ALONE_FROM), job("m0")])
    assert reasons(decision) == {"a machine that the fleet stands on is being reinstalled"}


# -- the rest


def test_a_host_that_the_inventory_does_not_know_never_starts() -> None:
    decision = decided(hosts(1), [job("m0"), job("gone"), job("old", machine_class=VIRTIO.key)])
    assert started(decision) == ["m0"]
    assert reasons(decision) == {"the inventory does not know it"}


def test_no_second_job_on_a_host() -> None:
    second = replace(job("m0"), id="2026-01-10/m0/2", attempt=2)
    decision = decided(hosts(1), [job("m0", S.RUNNING), second], night(gate=NO_BAKE))
    assert reasons(decision) == {"another job is on it"}


def test_an_empty_queue_is_no_trouble() -> None:
    decision = decided([], [])
    assert decision.post == ()
    assert decision.alerts == ()


# -- alerts


def test_one_alert_for_a_halted_night_not_forty() -> None:
    machines = hosts(40)
    jobs = [job(h.name, S.HELD, cause="no bootable disk") for h in machines]
    (alert,) = decided(machines, jobs).alerts
    assert (alert.key, alert.severity) == ("night/2026-01-10", Severity.CRITICAL)
    again = decided(machines, jobs, night(NightState.HALTED, cause="40 machines held")).alerts
    assert [a.key for a in again] == [alert.key]


def test_a_held_and_a_late_machine_have_an_alert_each() -> None:
    machines = [host("m0"), host("m1", machine_class=METAL)]
    it = night(budget=Budget(holds_stop_night=9))
    jobs = [running(NOW), job("m1", S.HELD, cause="wipe: input/output error")]
    found = {a.key: a.summary for a in decided(machines, jobs, it).alerts}
    assert found["job/2026-01-10/m1/1"] == "m1 needs a person: wipe: input/output error"
    assert "m0 should have ended by 2026-01-10 23:00 UTC" in found["job/2026-01-10/m0/1"]


@pytest.mark.parametrize(
    ("cause", "alerts"), [("3 of 40 machines reverted", 1), ("operator ann: lunch", 0)]
)
def test_nobody_is_woken_by_a_persons_own_pause(cause: str, alerts: int) -> None:
    assert len(decided([], [], night(NightState.PAUSED, cause=cause)).alerts) == alerts


def test_an_alert_ends_with_its_trouble() -> None:
    machines = [host("m0")]
    assert decided(machines, [job("m0", S.DONE)]).alerts == ()


def test_classes_have_names_that_can_be_read_back() -> None:
    assert MachineClass.of_key(METAL.key) == METAL


def test_a_wave_may_be_allowed_to_have_one_held() -> None:
    jobs = [
        replace(j, state=S.HELD if n == 0 else S.DONE, wave=1, ended_at=NOW)
        for n, j in enumerate(queued(hosts(3)))
    ]
    for held, passage in ((0, Passage.SHUT), (1, Passage.OPEN)):
        gate = Gate(bake=timedelta(0), held=held)
        assert wave_state(jobs, 3, gate, NOW).passage is passage
