"""What a night is measured by: faults dealt as they are meant, and the time that nothing can beat."""

from __future__ import annotations

from collections import Counter

import pytest

from reroot_fleet.simulation.fate import NO_FAULTS, End, Fate, Odds, deal
from reroot_fleet.simulation.ideal import Turn, alone_s, night_s
from reroot_fleet.simulation.model import Model, Pace

PACE = Pace(check=10, copy=20, old_os=100, ram=300, boot=50, confirm=0, deadlines=1000)
ALONE = 3 * 10 + 20 + 100 + 300 + 50


def models(*fates: Fate) -> dict[str, Model]:
    return {f"m{n}": Model(f"m{n}", fate, PACE) for n, fate in enumerate(fates)}


def turns(count: int, canaries: int = 0) -> list[Turn]:
    return [Turn(f"m{n}", "c", canary=n < canaries) for n in range(count)]


def test_as_many_fail_by_themselves_as_the_odds_say_whoever_they_are() -> None:
    names = [f"m{n}" for n in range(2000)]
    one, other = (deal(seed, names, Odds()) for seed in (1, 2))
    for fates in (one, other):
        ends = Counter(fate.ends[0] for fate in fates.values())
        assert ends == {
            End.DONE: 1994, End.REVERTED: 2, End.OLD_OS_BACK: 2, End.HELD: 1, End.SILENT: 1,
        }  # fmt: skip
    assert one == deal(1, names, Odds())
    failing = [{n for n, f in some.items() if f.ends[0] is not End.DONE} for some in (one, other)]
    assert failing[0] != failing[1]
    assert all(f.ends == [End.DONE, End.DONE] for f in deal(1, names, NO_FAULTS).values())


@pytest.mark.parametrize(
    ("fate", "seconds"),
    [
        (Fate(), ALONE),
        (Fate(pace=4.0), 4 * ALONE),
        (Fate([End.REVERTED]), 150),
        (Fate([End.SILENT]), 1050),
        (Fate([End.HELD]), 1050),
        (Fate([End.HELD], ram_ssh=True), 300),
    ],
)
def test_what_a_machine_takes_by_itself(fate: Fate, seconds: float) -> None:
    assert alone_s(models(fate)["m0"]) == seconds


def test_an_ideal_night_waits_for_canaries_the_hour_and_places_and_nothing_else() -> None:
    some = models(*[Fate()] * 5)
    assert night_s(turns(5), some, at_once=9, hourly=9) == ALONE
    assert night_s(turns(5, canaries=1), some, at_once=9, hourly=9) == 2 * ALONE
    assert night_s(turns(5), some, at_once=2, hourly=9) == 3 * ALONE
    assert night_s(turns(5), some, at_once=9, hourly=2) == 2 * 3600 + ALONE


def test_an_ideal_night_is_as_long_as_its_slowest_machine() -> None:
    some = models(Fate(), Fate(pace=4.0))
    assert night_s(turns(2), some, at_once=9, hourly=9) == 4 * ALONE
