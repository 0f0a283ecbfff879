"""A machine as the inventory knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class MachineClass:
    """Machines that are alike: what a canary speaks for."""

    firmware: str = "unknown"
    storage: str = "unknown"
    old_os: str = "unknown"
    network_card: str = "unknown"

    def __str__(self) -> str:
        """Render as `uefi × lvm × ubuntu 12.04 × tg3`."""
        return f"{self.firmware} × {self.storage} × {self.old_os} × {self.network_card}"

    @property
    def key(self) -> str:
        """The class as one word, for the memory and metrics."""
        return f"{self.firmware}/{self.storage}/{self.old_os}/{self.network_card}"

    @classmethod
    def of_key(cls, key: str) -> MachineClass:
        """The class of such a word."""
        return cls(*key.split("/", 3))


class Protects(StrEnum):
    """What of the fleet itself stands on a machine."""

    CONDUCTOR = "conductor"
    DATABASE = "database"
    BOARD = "board"
    JUMP_HOST = "jump host"
    HYPERVISOR = "hypervisor"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, how to reach it, and what it is limited and grouped by."""

    name: str
    address: str
    user: str = "root"
    port: int = 22
    ssh_options: tuple[str, ...] = ()
    """Passed to ssh as `-o OPTION` each, for example `ProxyJump=gate1`."""
    customer: str | None = None
    rack: str | None = None
    hypervisor: str | None = None
    """The name of the host that carries it."""
    jump_host: str | None = None
    """The name of the host that ssh goes through."""
    image: str | None = None
    """The image's name in the fleet's directory of images."""
    machine_class: MachineClass = MachineClass()
    groups: tuple[str, ...] = ()
    protects: frozenset[Protects] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Everything else that the inventory says."""

    @property
    def carried_by(self) -> tuple[str, ...]:
        """The hosts without which this one cannot be reached or does not run."""
        return tuple(h for h in (self.hypervisor, self.jump_host) if h)
