"""What `plan --json` says (`reroot-plan`, version 1): as much of it as the fleet decides by."""

from __future__ import annotations

from dataclasses import dataclass

from reroot_fleet.values.document import Fields, read
from reroot_fleet.values.host import MachineClass


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A plan that a machine resolved."""

    run: str
    hostname: str
    image: str
    consent: str | None
    """The digest of what is consented to; `go --consent` refuses another."""
    entry: str
    deadlines_s: int
    """The sum of its steps' deadlines."""
    machine_class: MachineClass
    serving_s: int | None = None
    """Of them: until services stop."""
    silent_s: int | None = None
    """From then on until an OS answers."""
    confirm_s: int | None = None
    """From then on until the first boot is compared with the plan."""
    warnings: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


def parse_plan(text: str | bytes, *, host: str | None = None) -> MachinePlan:
    """Reads `plan --json`; raises `Problem`."""
    f = Fields(read(text, "reroot-plan", 1, host=host), "plan", host=host)
    steps = [Fields(s, "plan.steps[]", host=host) for s in f.list("steps")]
    old_os, entry = f.inner("old_os"), f.value.get("entry")
    sums = f.inner("deadlines") if f.value.get("deadlines") is not None else None
    return MachinePlan(
        run=f.text("run"),
        hostname=f.text("hostname"),
        image=f.text("image"),
        consent=f.text_or_none("consent"),
        entry=entry if isinstance(entry, str) else str(f.inner("entry").value.get("entry", "")),
        deadlines_s=sums.number("all_s") if sums else sum(map(_deadline, steps)),
        serving_s=sums.number("serving_s") if sums else None,
        silent_s=sums.number("silent_s") if sums else None,
        confirm_s=sums.number("confirm_s") if sums else None,
        machine_class=MachineClass(
            firmware=f.text("firmware"),
            storage=storage(f.text_or_none("root_device") or "", f.text_or_none("disk") or ""),
            old_os=f"{old_os.text('id')} {old_os.text('version_id')}".strip(),
            network_card="+".join(sorted(set(map(str, f.inner("network").list("drivers")))))
            or "none",
        ),
        warnings=tuple(map(str, f.list("warnings"))),
        steps=tuple(s.text("name") for s in steps),
    )


def _deadline(step: Fields) -> int:
    once = step.number("deadline_s")
    if step.value.get("retry") is None:
        return once
    retry = step.inner("retry")
    attempts, pause = retry.number("attempts"), retry.number("pause_s")
    return attempts * once + max(0, attempts - 1) * pause


STORAGE: tuple[tuple[str, str], ...] = (
    ("/dev/nvme", "nvme"),
    ("/dev/mmcblk", "mmc"),
    ("/dev/vd", "virtio"),
    ("/dev/xvd", "xen"),
    ("/dev/sd", "scsi"),
    ("/dev/hd", "ide"),
    ("/dev/md", "md"),
    ("/dev/cciss", "cciss"),
)
"""What a device's name tells of its driver."""


def storage(root_device: str, disk: str) -> str:
    """The kind of a machine's storage: what the root stands on, and the disk below it."""
    below = next((word for prefix, word in STORAGE if disk.startswith(prefix)), "unknown")
    if root_device.startswith(("/dev/mapper/", "/dev/dm-")):
        return f"lvm+{below}"
    if root_device.startswith("/dev/md"):
        return f"md+{below}" if below != "md" else "md"
    return below
