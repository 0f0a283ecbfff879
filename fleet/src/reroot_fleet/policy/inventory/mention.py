"""What an inventory says, whatever its format: hosts, groups and variables with their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reroot_fleet.values.problem import Place, Problem


@dataclass(frozen=True, slots=True)
class Var:
    """A variable's value, and where it stands."""

    value: str
    at: Place


Vars = Mapping[str, Var]


@dataclass(slots=True)
class Group:
    """A group of hosts."""

    at: Place
    hosts: dict[str, Place] = field(default_factory=dict)
    children: dict[str, Place] = field(default_factory=dict)
    variables: dict[str, Var] = field(default_factory=dict)
    defined: bool = False
    """It has a place of its own, and is not only named as somebody's child."""


@dataclass(slots=True)
class Mentions:
    """Everything that an inventory says, as it says it."""

    hosts: dict[str, dict[str, Var]] = field(default_factory=dict)
    """Each host's own variables."""
    places: dict[str, Place] = field(default_factory=dict)
    """Where each host is named first."""
    groups: dict[str, Group] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def group(self, name: str, at: Place) -> Group:
        """The group of that name."""
        return self.groups.setdefault(name, Group(at))

    def host(self, name: str, at: Place) -> dict[str, Var]:
        """A host's own variables, to be added to."""
        self.places.setdefault(name, at)
        return self.hosts.setdefault(name, {})

    def set(self, host: str, name: str, var: Var) -> None:
        """A host's own variable; said twice, it has to be the same."""
        own = self.host(host, var.at)
        before = own.get(name)
        if before is not None and before.value != var.value:
            self.wrong(
                "read an inventory",
                f"{name} is {var.value!r}, and {before.value!r} at {before.at}",
                Place(var.at.file, var.at.line, host),
            )
        own[name] = var

    def wrong(self, attempted: str, why: str, at: Place, then: str = "") -> None:
        """Notes a mistake; all of them are told together."""
        self.problems.append(
            Problem(attempted, why, at=at, intact="nothing was imported", then=then)
        )
