from __future__ import annotations

from datetime import timedelta

from reroot_fleet.memory import conductors, images, surveys
from reroot_fleet.memory.conductors import Sign
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.images import Image
from reroot_fleet.memory.surveys import Acceptance, Rehearsed, Survey
from tests.memory.given import IMAGE, NOW, hosts


def test_the_newest_answer_of_each_machine_counts(memory: Memory) -> None:
    with memory.begin() as c:
        hosts(c, "web1", "web2")
        refused = Survey(NOW, "web1", IMAGE, may_go=False, codes=("space",), reason="no room")
        surveys.record(c, refused, who="alice")
        surveys.record(c, Survey(NOW, "web2", IMAGE, may_go=True, consent="c"), who="alice")
        now_it_may = Survey(NOW, "web1", IMAGE, may_go=True, deadlines_s=60, detail={"a": 1})
        surveys.record(c, now_it_may, who="alice")
        assert [(s.host, s.may_go) for s in surveys.latest(c)] == [("web1", True), ("web2", True)]
        assert surveys.latest(c, host="web1", image=IMAGE) == [now_it_may]
        assert surveys.latest(c, image="another") == []


def test_a_rehearsal_counts_for_its_own_consent_and_for_a_time(memory: Memory) -> None:
    with memory.begin() as c:
        hosts(c, "web1")
        passed = Rehearsed(NOW, "web1", IMAGE, "consent", "run1", passed=True)
        surveys.record_rehearsal(c, passed)
        late = Rehearsed(NOW + timedelta(1), "web1", IMAGE, "consent", "run2", passed=False)
        surveys.record_rehearsal(c, late)
        assert surveys.rehearsal(c, "web1", IMAGE, "consent", since=NOW) == passed
        assert surveys.rehearsal(c, "web1", IMAGE, "other", since=NOW) is None
        after = NOW + timedelta(seconds=1)
        assert surveys.rehearsal(c, "web1", IMAGE, "consent", since=after) is None


def test_a_finding_is_accepted_once_for_all(memory: Memory) -> None:
    with memory.begin() as c:
        accepted = Acceptance("note:old-kernel", NOW, "alice", "all of them have it")
        assert surveys.accept(c, accepted)
        assert not surveys.accept(c, accepted)
        assert surveys.accepted(c) == [accepted]


def test_conductors_and_images_come_back(memory: Memory) -> None:
    sign = Sign("one", "c1", 7, "0.1.0", NOW, NOW, 200, 3, "running")
    image = Image(IMAGE, "trixie", "/srv/images/trixie.reroot", 5_000_000_000, NOW)
    with memory.begin() as c:
        conductors.beat(c, sign)
        conductors.beat(c, sign)
        assert conductors.every(c) == [sign]
        conductors.forget(c, "one")
        assert conductors.every(c) == []
        assert images.add(c, image)
        assert not images.add(c, image)
        assert images.by_digest(c, IMAGE) == images.by_name(c, "trixie") == image
        assert images.every(c) == [image]
