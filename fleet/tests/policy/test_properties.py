"""What holds in every night, whatever the machines do: nights made at random."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reroot_fleet.policy.decision import Decision
from reroot_fleet.policy.history import ALONE_FROM, History
from reroot_fleet.values.host import Host, Protects
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.policy import HOURLY_CAP, Budget, Gate, Limits, Waves
from tests.policy.night_run import Fate, NightRun
from tests.policy.scene import METAL, VIRTIO, every_job_has_one_answer, night, queued, site_of

S = JobState

small = st.integers(1, 4)
fates = st.builds(
    Fate,
    ends=st.sampled_from([S.DONE] * 12 + [S.REVERTED, S.HELD, S.REFUSED, None]),
    minutes=st.integers(6, 90),
)
machines = st.lists(
    st.builds(
        lambda n, cls, customer, rack, below, own: (n, cls, customer, rack, below, own),
        st.integers(0, 10**6),
        st.sampled_from([VIRTIO, METAL]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["r1", "r2", "r3"]),
        st.integers(0, 3),
        st.sampled_from([frozenset[Protects]()] * 9 + [frozenset({Protects.CONDUCTOR})]),
    ),
    min_size=1,
    max_size=14,
)


def as_hosts(drawn: list[tuple[int, object, str, str, int, frozenset[Protects]]]) -> list[Host]:
    return [
        Host(
            f"m{i}",
            "x",
            customer=customer,
            rack=rack,
            hypervisor=f"m{below}" if below < i and below < 2 else None,
            machine_class=cls,  # type: ignore[arg-type]
            protects=own,
        )
        for i, (_, cls, customer, rack, below, own) in enumerate(drawn)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=machines, outcome=st.lists(fates, min_size=14, max_size=14), data=st.data())
def test_what_holds_in_every_night(
    drawn: list[tuple[int, object, str, str, int, frozenset[Protects]]],
    outcome: list[Fate],
    data: st.DataObject,
) -> None:
    hosts = as_hosts(drawn)
    by_name = {h.name: h for h in hosts}
    limits = Limits(
        data.draw(small), data.draw(small), data.draw(small), data.draw(small), night=10, hour=8
    )
    it = night(
        limits=limits,
        waves=Waves(canaries=data.draw(st.integers(1, 2)), ramp=(2, 5), a_night=3),
        gate=Gate(timedelta(minutes=data.draw(st.integers(0, 60))), data.draw(st.integers(0, 1))),
        budget=Budget(reverted_pauses=data.draw(st.sampled_from([0.03, 0.5, 1.0]))),
    )
    order = {data.draw(st.integers(1, 300)): data.draw(st.sampled_from(list(NightState)))}
    seen_go: set[str] = set()

    def check(now: datetime, the_night: Night, jobs: dict[str, Job], decision: Decision) -> None:
        every_job_has_one_answer(list(jobs.values()), decision)
        begin = [jobs[p.job] for p in decision.post]
        if begin:
            assert the_night.state is NightState.OPEN
            assert now + it.policy.assumed_duration <= the_night.window.closes
        taken = [j for j in jobs.values() if j.state.active or j.state is S.HELD] + begin
        keep_limits(taken, by_name, limits) if begin else None
        posted = [
            j for j in jobs.values() if j.posted_at and j.posted_at > now - timedelta(hours=1)
        ]
        assert not begin or len(posted) + len(begin) <= min(limits.hour, HOURLY_CAP)
        keep_apart(taken, begin, by_name)
        in_waves(decision, jobs, by_name)
        for taken_back in decision.withdraw:
            assert not jobs[taken_back.job].begun_go
        seen_go.update(j.id for j in jobs.values() if j.begun_go)

    run = NightRun(
        it,
        site_of(hosts, it),
        {j.id: j for j in queued(hosts)},
        {h.name: f for h, f in zip(hosts, outcome, strict=False)},
        History(),
        order,
        check,
    )
    run.run()
    assert all(run.jobs[j].state is not S.WITHDRAWN for j in seen_go)
    assert sum(j.state is S.HELD for j in run.jobs.values()) < 2 or (
        run.night.state in {NightState.HALTED, NightState.CLOSED, NightState.PLANNED}
    )


def keep_limits(taken: list[Job], by_name: dict[str, Host], limits: Limits) -> None:
    hosts = [by_name[j.host] for j in taken]
    assert len(taken) <= limits.total
    assert max(Counter(h.customer for h in hosts).values(), default=0) <= limits.customer
    assert max(Counter(h.rack for h in hosts).values(), default=0) <= limits.rack
    on = Counter(h.hypervisor for h in hosts if h.hypervisor)
    assert max(on.values(), default=0) <= limits.hypervisor


def keep_apart(taken: list[Job], begin: list[Job], by_name: dict[str, Host]) -> None:
    if not begin:
        return
    names = {j.host for j in taken}
    for name in names:
        assert by_name[name].hypervisor not in names
        assert not by_name[name].protects or len(names) == 1


def in_waves(decision: Decision, jobs: dict[str, Job], by_name: dict[str, Host]) -> None:
    waves: dict[int, set[str]] = {}
    for job in jobs.values():
        if job.wave is not None and job.state not in {S.REFUSED, S.WITHDRAWN}:
            waves.setdefault(job.wave, set()).add(job.host)
    for p in decision.post:
        waves.setdefault(p.wave, set()).add(p.host)
        assert bool(by_name[p.host].protects) is (p.wave >= ALONE_FROM)
    for hosts in waves.values():
        assert not any(by_name[h].hypervisor in hosts for h in hosts)
