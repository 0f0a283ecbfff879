"""How far a machine's run was when it was looked at last: shown to people, and never decided by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a run said of itself while it went on."""

    step: str
    """The run's own step, in the machine's words."""
    percent: int | None = None
    """Of that step, by an estimate."""
    in_ram: bool = False
    """The RAM environment said it; otherwise the old OS."""

    def __str__(self) -> str:
        """In a few words: `wipe 43 % in RAM`."""
        percent = "" if self.percent is None else f" {self.percent} %"
        return f"{self.step}{percent}{' in RAM' if self.in_ram else ''}"
