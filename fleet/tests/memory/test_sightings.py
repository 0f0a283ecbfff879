from __future__ import annotations

from typing import TYPE_CHECKING

from reroot_fleet.memory import jobs, sightings
from reroot_fleet.values.event import What
from reroot_fleet.values.sighting import Sighting
from tests.memory import given

if TYPE_CHECKING:
    from reroot_fleet.memory.database import Memory


def test_what_was_seen_last_is_told_of_machines_on_their_way(memory: Memory) -> None:
    with memory.begin() as c:
        given.night(c)
        given.hosts(c, "web1", "web2")
        one, two = (given.queued(c, name) for name in ("web1", "web2"))
        for name in ("web1", "web2"):
            jobs.record(c, given.event(What.JOB_POSTED, name, wave=0))
            jobs.record(c, given.event(What.JOB_CLAIMED, name, conductor="a"))
        old_os = Sighting("prepare")
        sightings.keep(c, {one.id: old_os, two.id: old_os}, at=given.NOW)
        in_ram = Sighting("wipe", 43, in_ram=True)
        sightings.keep(c, {one.id: in_ram}, at=given.NOW)
        sightings.keep(c, {}, at=given.NOW)
    with memory.read() as c:
        assert sightings.of_night(c, given.NIGHT) == {one.id: in_ram, two.id: old_os}
        assert str(in_ram) == "wipe 43 % in RAM"
    with memory.begin() as c:
        jobs.record(c, given.event(What.JOB_HELD, "web1", cause="it holds"))
    with memory.read() as c:
        assert sightings.of_night(c, given.NIGHT) == {two.id: old_os}
