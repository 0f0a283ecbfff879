"""Whole nights, recorded: a change of policy shows as a change of a text.

`REROOT_RECORD=1 pytest tests/policy/test_transcripts.py` records them anew; read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reroot_fleet.values.host import Host, Protects
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState
from reroot_fleet.values.policy import Budget, Gate, Waves
from tests.policy.night_run import Fate, NightRun
from tests.policy.scene import METAL, WIDE, host, hosts, night, proven, queued, site_of

S = JobState
HERE = Path(__file__).parent / "transcripts"


def of(machines: list[Host], fates: dict[str, Fate], **parts: Any) -> NightRun:
    run = {k: parts.pop(k) for k in ("history", "orders") if k in parts}
    it = night(NightState.OPEN, **{"limits": WIDE, "waves": Waves(), **parts})
    jobs = {j.id: j for j in queued(machines)}
    return NightRun(it, site_of(machines, it), jobs, fates, **run)


def first_night() -> NightRun:
    """Two classes, nothing goes wrong: canaries, half an hour, five, and no more tonight."""
    return of([*hosts(20), *hosts(20, "b", machine_class=METAL)], {})


def several_waves() -> NightRun:
    """A policy that lets three waves of the ramp go in one night."""
    return of(hosts(150), {}, waves=Waves(a_night=3))


def canary_held() -> NightRun:
    """The canary of one class is held: its class stops, the other goes on."""
    machines = [*hosts(8), *hosts(8, "b", machine_class=METAL)]
    return of(machines, {"b0": Fate(S.HELD, 25, "loader: no space on the ESP")})


def two_holds() -> NightRun:
    """Two holds in a wave of twenty: the night halts, one alert stays."""
    machines = [*hosts(30), *hosts(30, "b", machine_class=METAL)]
    fates = {
        "m3": Fate(S.HELD, 12, "wipe: input/output error"),
        "b1": Fate(S.HELD, 16, "loader: no space on the ESP"),
    }
    mixed = [m for pair in zip(machines[:30], machines[30:], strict=True) for m in pair]
    return of(mixed, fates, history=proven(stage=1))


def reverts_pause() -> NightRun:
    """Reverts come in; a person resumes the night when it is understood."""
    fates = {f"m{i}": Fate(S.REVERTED, 8 + i, "stop: mysql does not stop") for i in range(4)}
    return of(
        hosts(250),
        fates,
        history=proven(stage=3),
        limits=WIDE,
        orders={60: NightState.OPEN},
        budget=Budget(reverted_pauses=0.015),
    )


def silence() -> NightRun:
    """A machine never answers again: past its deadline it counts as held."""
    return of(hosts(12), {"m2": Fate(None)}, history=proven(stage=1))


def halt_by_a_person() -> NightRun:
    """A halt takes back what has not said go, and leaves alone what has."""
    fates = {f"m{i}": Fate(minutes=40) for i in range(9)}
    machines = [*hosts(4), *hosts(4, "slow", rack="r1")]
    limits = WIDE.__class__(total=9, rack=1)
    orders = {21: NightState.HALTED}
    return of(machines, fates, limits=limits, history=proven(), orders=orders)


def the_fleets_own() -> NightRun:
    """Hypervisors, their guests, a jump host and two conductors, all in one night."""
    machines = [
        host("conductor1", protects=frozenset({Protects.CONDUCTOR})),
        host("conductor2", protects=frozenset({Protects.CONDUCTOR})),
        host("gate"),
        host("hv1", jump_host="gate"),
        host("vm1", hypervisor="hv1"),
        host("vm2", hypervisor="hv1"),
        host("web1"),
        host("web2"),
    ]
    return of(
        machines, {}, history=proven(stage=1), gate=Gate(), waves=Waves(ramp=(4, 4), a_night=3)
    )


NIGHTS = (
    first_night,
    several_waves,
    canary_held,
    two_holds,
    reverts_pause,
    silence,
    halt_by_a_person,
    the_fleets_own,
)


@pytest.mark.parametrize("made", NIGHTS, ids=lambda f: f.__name__)
def test_a_night_goes_as_recorded(made: Callable[[], NightRun]) -> None:
    file = HERE / f"{made.__name__}.txt"
    text = f"{made.__doc__}\n\n{made().run()}"
    if os.environ.get("REROOT_RECORD"):
        HERE.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
