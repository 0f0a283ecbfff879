"""What becomes of a simulated machine: drawn once from a seed, so that a night can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class End(StrEnum):
    """How a run of it ends."""

    DONE = "done"
    REVERTED = "reverted"
    """A step failed before services were stopped; the old OS never went away."""
    OLD_OS_BACK = "old OS back"
    """The RAM environment gave up before the commit point: the old OS boots again."""
    HELD = "held"
    """Behind the commit point, and it answers nothing."""
    COMMITTED = "committed"
    """Behind the commit point, and what answers says so."""
    SILENT = "silent"
    """It never came back, and nobody knows from where."""
    UNCONFIRMED = "unconfirmed"
    """The new OS is there, and its first boot finds that something fell short."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How often something happens to a machine; the story's are the default."""

    reverted: float = 0.001
    old_os_back: float = 0.001
    held: float = 0.0005
    committed: float = 0.0
    silent: float = 0.0005
    unconfirmed: float = 0.0
    slow: float = 0.02
    """Everything takes four times as long."""
    wrong_key: float = 0.0
    refused_check: float = 0.0
    flaky: float = 0.1
    """Machines whose connections fail now and then."""
    flake: float = 0.05
    """How often a question to such a machine fails."""
    skewed: float = 0.1
    ram_ssh: float = 0.7
    """Machines whose RAM environment has an ssh server that lets the fleet in."""


NO_FAULTS = Odds(reverted=0, old_os_back=0, held=0, silent=0, slow=0, flaky=0, skewed=0)
"""Everything goes well."""

HARSH = Odds(
    reverted=0.02,
    old_os_back=0.02,
    held=0.004,
    committed=0.004,
    silent=0.004,
    unconfirmed=0.004,
    slow=0.05,
    wrong_key=0.01,
    refused_check=0.02,
    flaky=0.3,
    flake=0.1,
    skewed=0.2,
)
"""A bad night: every kind of fault is met by dozens of two thousand machines."""


@dataclass(slots=True)
class Fate:
    """One machine's."""

    ends: list[End] = field(default_factory=lambda: [End.DONE])
    """Of its first run, its second …; the last one repeats."""
    pace: float = 1.0
    wrong_key: bool = False
    refuses: str | None = None
    """Code of a check that refuses."""
    flake: float = 0.0
    skew_s: float = 0.0
    """By how much its time of day is wrong."""
    seed: int = 0
    ram_ssh: bool = False
    """It answers `status` in the RAM environment."""

    def end(self, attempt: int) -> End:
        """How its run of that number ends, from 0."""
        return self.ends[min(attempt, len(self.ends) - 1)]


def draw(seed: int, name: str, odds: Odds) -> Fate:
    """A machine's fate: the same for the same seed and name."""
    dice = random.Random(f"{seed}/{name}")  # noqa: S311 - it has to repeat
    table = _ends(odds)
    roll, first = dice.random(), End.DONE
    for end, chance in table:
        if roll < chance:
            first = end
            break
        roll -= chance
    pace = (4.0 if dice.random() < odds.slow else 1.0) * dice.uniform(0.85, 1.15)
    return Fate(
        ends=[first, End.DONE],
        pace=pace,
        wrong_key=dice.random() < odds.wrong_key,
        refuses="memory" if dice.random() < odds.refused_check else None,
        flake=odds.flake if dice.random() < odds.flaky else 0.0,
        skew_s=dice.uniform(-86400, 86400) if dice.random() < odds.skewed else 0.0,
        seed=dice.getrandbits(32),
        ram_ssh=dice.random() < odds.ram_ssh,
    )


def deal(seed: int, names: Iterable[str], odds: Odds) -> dict[str, Fate]:
    """Fates of many: each end is dealt to so many as the odds come to, to whom is the seed's.

    Of two thousand machines of which three in a thousand fail by themselves, one draw for each makes between
    one and a dozen fail. That is the draw's luck, and nothing that a fleet could be measured by.
    """
    fates = {name: draw(seed, name, replace(odds, **NO_ENDS)) for name in names}
    order = sorted(fates)
    random.Random(seed).shuffle(order)  # noqa: S311 - it has to repeat
    for end, chance in _ends(odds):
        count = round(chance * len(fates))
        for name in order[:count]:
            fates[name].ends = [end, End.DONE]
        order = order[count:]
    return fates


NO_ENDS: dict[str, float] = dict.fromkeys(
    ("reverted", "old_os_back", "held", "committed", "silent", "unconfirmed"), 0.0
)


def _ends(odds: Odds) -> tuple[tuple[End, float], ...]:
    return (
        (End.REVERTED, odds.reverted),
        (End.OLD_OS_BACK, odds.old_os_back),
        (End.HELD, odds.held),
        (End.COMMITTED, odds.committed),
        (End.SILENT, odds.silent),
        (End.UNCONFIRMED, odds.unconfirmed),
    )
