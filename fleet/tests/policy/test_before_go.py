"""The last question before `go`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reroot_fleet.policy.before_go import May, Rehearsed, may_go
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState
from reroot_fleet.values.policy import Rehearsal
from tests.policy.scene import CLOSES, IMAGE, NOW, OPENS, VIRTIO, job, night

HOUR = timedelta(hours=1)
CLAIMED = job("m0", JobState.RUNNING, deadlines_s=3600, consent="c1")
PASSED = Rehearsed(NOW - HOUR, IMAGE, "c1", passed=True)


@pytest.mark.parametrize(
    ("state", "may"),
    [
        (NightState.OPEN, May.GO),
        (NightState.PAUSED, May.WAIT),
        (NightState.PLANNED, May.WITHDRAW),
        (NightState.HALTED, May.WITHDRAW),
        (NightState.CLOSED, May.WITHDRAW),
    ],
)
def test_as_the_night_is(state: NightState, may: May) -> None:
    assert may_go(NOW, night(state), CLAIMED, VIRTIO.key).may is may


@pytest.mark.parametrize(
    ("now", "may"),
    [
        (OPENS - timedelta(seconds=1), May.WITHDRAW),
        (OPENS, May.GO),
        (CLOSES - HOUR, May.GO),
        (CLOSES - HOUR + timedelta(seconds=1), May.WITHDRAW),
    ],
)
def test_the_window_is_asked_again(now: object, may: May) -> None:
    assert may_go(now, night(), CLAIMED, VIRTIO.key).may is may  # type: ignore[arg-type]


def test_not_in_a_stopped_class_and_not_when_it_is_taken_back() -> None:
    it = night(stopped_classes=frozenset({VIRTIO.key}))
    assert may_go(NOW, it, CLAIMED, VIRTIO.key).may is May.WITHDRAW
    taken_back = replace(CLAIMED, state=JobState.WITHDRAWN)
    assert may_go(NOW, night(), taken_back, VIRTIO.key).may is May.WITHDRAW


@pytest.mark.parametrize(
    ("rehearsal", "may"),
    [
        (PASSED, May.GO),
        (None, May.WITHDRAW),
        (replace(PASSED, passed=False), May.WITHDRAW),
        (replace(PASSED, image="d2"), May.WITHDRAW),
        (replace(PASSED, consent="c2"), May.WITHDRAW),
        (replace(PASSED, consent=None), May.WITHDRAW),
        (replace(PASSED, at=NOW - timedelta(days=8)), May.WITHDRAW),
    ],
)
def test_a_required_rehearsal_is_of_the_same_image_and_consent_and_not_too_old(
    rehearsal: Rehearsed | None, may: May
) -> None:
    it = night(rehearsal=Rehearsal.REQUIRED)
    assert may_go(NOW, it, CLAIMED, VIRTIO.key, rehearsal).may is may
