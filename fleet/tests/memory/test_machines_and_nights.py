from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest

from reroot_fleet.memory import codec, events, machines, nights, turns
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.errors import Conflict, MemoryFault
from reroot_fleet.values.event import What
from reroot_fleet.values.host import Host, MachineClass, Protects
from reroot_fleet.values.night import NightState
from reroot_fleet.values.policy import Limits, Policy, Rehearsal, Weekday, WindowRule
from tests.memory.given import NIGHT, NOW, hosts, night

HOST = Host(
    "web1",
    "192.0.2.1",
    ssh_options=("ProxyJump=gate1",),
    customer="acme",
    machine_class=MachineClass("uefi", "lvm", "ubuntu 12.04", "tg3"),
    groups=("web", "shop"),
    protects=frozenset({Protects.DATABASE, Protects.BOARD}),
    labels={"site": "north"},
)
POLICY = Policy(
    name="careful",
    window=WindowRule("Europe/Berlin", time(22), time(6), frozenset({Weekday.MON})),
    limits=Limits(total=10, per={"site": 3}),
    rehearsal=Rehearsal.REQUIRED,
    rehearsal_max_age=timedelta(days=3),
    hooks={"drain": "/usr/local/bin/drain"},
)


@pytest.mark.parametrize("value", [HOST, POLICY, Policy(), Host("a", "b")])
def test_a_value_comes_back_from_its_document_whole(value: Host | Policy) -> None:
    read = codec.read(type(value), codec.write(value))
    assert read == value
    assert codec.write(read) == codec.write(value)


def test_a_document_with_an_unknown_field_is_refused_by_its_name() -> None:
    with pytest.raises(MemoryFault, match="does not know moon_phase"):
        codec.read(Policy, codec.write(Policy()) | {"moon_phase": "full"})
    with pytest.raises(MemoryFault, match="its version is 2"):
        codec.read(Policy, codec.write(Policy()) | {"version": 2})


def test_an_import_says_what_it_added_changed_and_removed(memory: Memory) -> None:
    with memory.begin() as c:
        hosts(c, "a", "b", "c")
    with memory.begin() as c:
        new = [Host("b", "b.example.net"), Host("c", "192.0.2.3"), HOST]
        done = machines.replace_all(c, new, now=NOW, who="alice")
    assert done == machines.Imported(("web1",), ("c",), ("a",), 1)
    with memory.begin() as c:
        assert [h.name for h in machines.every(c)] == ["b", "c", "web1"]
        assert machines.get(c, "web1") == HOST
        assert machines.get(c, "a") is not None, "what was done to it is still told of"
        back = machines.replace_all(c, [*new, Host("a", "a.example.net")], now=NOW, who="alice")
        assert back.added == ("a",)
        assert [e.what for e in events.read(c, host="a")] == [
            What.HOST_IMPORTED,
            What.HOST_REMOVED,
            What.HOST_IMPORTED,
        ]


def test_a_change_of_labels_alone_is_a_change(memory: Memory) -> None:
    with memory.begin() as c:
        machines.replace_all(c, [HOST], now=NOW, who="alice")
        other = replace(HOST, labels={"site": "south"})
        assert machines.replace_all(c, [other], now=NOW, who="alice").changed == ("web1",)


def test_a_night_moves_only_from_where_it_is_believed_to_be(memory: Memory) -> None:
    with memory.begin() as c:
        made = night(c)
        assert nights.get(c, NIGHT) == made
    with memory.begin() as c:
        halted = nights.move(
            c,
            NIGHT,
            NightState.HALTED,
            expect=[NightState.OPEN],
            now=NOW,
            who="alice",
            cause="two held",
        )
        assert halted.state is NightState.HALTED
        assert halted.cause == "two held"
    with pytest.raises(Conflict, match="it is halted"), memory.begin() as c:
        nights.move(c, NIGHT, NightState.OPEN, expect=[NightState.PAUSED], now=NOW, who="bob")
    with memory.begin() as c:
        assert nights.stop_class(c, NIGHT, "a/b/c/d", now=NOW, who="x", cause="held")
        assert not nights.stop_class(c, NIGHT, "a/b/c/d", now=NOW, who="x", cause="held")
        found = nights.get(c, NIGHT)
        assert found is not None
        assert found.stopped_classes == {"a/b/c/d"}
        assert [n.id for n in nights.every(c, [NightState.HALTED])] == [NIGHT]


def test_only_one_has_the_turn(memory: Memory) -> None:
    if memory.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    with memory.begin() as c:
        assert turns.take(c, turns.PLANNING)
    with memory.begin() as c:
        assert turns.take(c, turns.PLANNING)
        with memory.begin() as other:
            assert not turns.take(other, turns.PLANNING)
