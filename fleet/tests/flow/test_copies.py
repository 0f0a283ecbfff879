"""Places for copies: taken in turn, shared by those who are alive."""

from __future__ import annotations

from reroot_fleet.flow.copies import Copies


def test_the_next_in_line_is_woken_and_finds_its_place_kept() -> None:
    woken: list[str] = []
    copies = Copies(woken.append)
    assert copies.take("a", 1)
    assert [copies.take(job, 1) for job in ("b", "c", "b")] == [False, False, False]
    copies.give("a")
    assert woken == ["b"]
    assert not copies.take("a", 1)  # it is kept for who was first
    assert copies.take("b", 1)
    copies.give("b")
    assert woken == ["b", "c"]


def test_who_leaves_the_line_keeps_nobody_waiting() -> None:
    woken: list[str] = []
    copies = Copies(woken.append)
    copies.take("a", 1)
    copies.take("b", 1)
    copies.take("c", 1)
    copies.give("b")
    copies.give("a")
    assert woken == ["c"]
    copies.give("c")  # kept, and not wanted any more
    assert copies.take("d", 1)


def test_a_number_is_shared_by_those_who_are_alive_and_one_is_left_for_each() -> None:
    woken: list[str] = []
    copies = Copies(woken.append)
    copies.shared_by(2)
    assert [copies.take(job, 4) for job in "abc"] == [True, True, False]
    copies.shared_by(1)  # the other one has died
    assert woken == ["c"]
    copies = Copies()
    copies.shared_by(5)
    assert [copies.take(job, 3) for job in "ab"] == [True, False]
