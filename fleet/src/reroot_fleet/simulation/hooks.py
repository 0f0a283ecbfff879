"""Hooks that the world counts, so that a test sees who is in the load balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reroot_fleet.machine.seam import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reroot_fleet.simulation.client import WorldSocket


class SimulatedHooks:
    """Those that the policy names, told to the world."""

    def __init__(self, programs: Mapping[str, str], world: WorldSocket) -> None:
        self._programs = programs
        self._world = world

    def call(self, name: str, host: str) -> Answer | None:
        """Tells the world."""
        if name not in self._programs:
            return None
        self._world.ask(host, "hook", (name,))
        return Answer(0)
