"""A night as a tree: customer, rack, machine, and how far along its steps each machine is."""

from __future__ import annotations

from reroot_fleet.policy.drawing.svg import Picture
from reroot_fleet.policy.overview import Customer, MachineLine, Overview, Tone
from reroot_fleet.values.atoms import ORDER
from reroot_fleet.values.job import JobState

ROW, TOP = 22, 96
X_NIGHT, X_CUSTOMER, X_RACK, X_MACHINE, X_STEPS, X_WORD, WIDE = 24, 90, 260, 400, 570, 742, 1120
MOST = 400
"""Machines that are drawn; of a longer night those that want attention, and the rest is counted."""
ORDER_OF_TONES = (Tone.BAD, Tone.WARN, Tone.BUSY, Tone.IDLE, Tone.GOOD)


def night_svg(o: Overview) -> str:
    """The night's tree as a picture."""
    names = _shown(o)
    rows = sum(1 for c in o.customers for m in c.machines if m.host in names)
    left_out = o.total - rows
    height = TOP + ROW * max(1, rows) + 44
    p = Picture(WIDE, height, f"Night {o.night.id}: {o.night.state}", _says(o))
    p.text(X_NIGHT, 34, f"Night {o.night.id}", size=18, bold=True)
    p.text(
        WIDE - 24, 34, f"{o.night.state}, {o.phase}", str(o.tone), size=15, bold=True, anchor="end"
    )
    counts = ", ".join(f"{n} {state}" for state, n in o.counts if n) or "no machines"
    p.text(X_NIGHT, 56, f"{o.total} machines: {counts}", "soft")
    _heads(p)
    y: float = TOP
    middles = []
    for customer in o.customers:
        y_customer, y_next = _customer(p, customer, names, y)
        if y_customer is not None:
            middles.append(y_customer)
        y = y_next
    _fan(p, X_NIGHT + 28, X_CUSTOMER - 8, middles)
    if left_out:
        p.text(X_MACHINE, y + 20, f"and {left_out} more that went well or wait", "soft")
    return p.svg()


def _says(o: Overview) -> str:
    if not o.total:
        return "no machines"
    return "; ".join(
        f"{c.name}: " + ", ".join(f"{m.host} {m.word}" for m in c.machines) for c in o.customers
    )[:20_000]


def _shown(o: Overview) -> set[str]:
    every = [m for c in o.customers for m in c.machines]
    if len(every) > MOST:
        every = sorted(every, key=lambda m: ORDER_OF_TONES.index(m.tone))[:MOST]
    return {m.host for m in every}


def _heads(p: Picture) -> None:
    for x, words in (
        (X_CUSTOMER, "customer"),
        (X_RACK, "rack"),
        (X_MACHINE, "machine"),
        (X_STEPS, f"{ORDER[0]} … {ORDER[-1]}"),
        (X_WORD, "state"),
    ):
        p.text(x, TOP - 14, words, "soft", size=11)


def _customer(
    p: Picture, customer: Customer, names: set[str], y: float
) -> tuple[float | None, float]:
    middles = []
    for rack in customer.racks:
        machines = [m for m in rack.machines if m.host in names]
        if not machines:
            continue
        lines = []
        for machine in machines:
            _machine(p, machine, y)
            lines.append(y + ROW / 2)
            y += ROW
        middle = (lines[0] + lines[-1]) / 2
        p.text(X_RACK, middle + 4, rack.name, size=12, room=X_MACHINE - X_RACK - 40)
        _fan(p, X_MACHINE - 34, X_MACHINE - 8, lines, middle)
        middles.append(middle)
    if not middles:
        return None, y
    middle = (middles[0] + middles[-1]) / 2
    p.text(X_CUSTOMER, middle + 4, customer.name, size=13, bold=True, room=X_RACK - X_CUSTOMER - 40)
    _fan(p, X_RACK - 34, X_RACK - 8, middles, middle)
    return middle, y


def _fan(p: Picture, x: float, to: float, ends: list[float], middle: float | None = None) -> None:
    """One trunk and its branches."""
    if not ends:
        return
    middle = (ends[0] + ends[-1]) / 2 if middle is None else middle
    bend = (x + to) / 2
    p.path(f"M{x} {middle}H{bend}M{bend} {ends[0]}V{ends[-1]}", "line")
    for end in ends:
        p.path(f"M{bend} {end}H{to}", "line")


def _machine(p: Picture, machine: MachineLine, y: float) -> None:
    tone = str(machine.tone)
    p.text(X_MACHINE, y + 15, machine.host, size=12, room=X_STEPS - X_MACHINE - 12)
    wide = (X_WORD - X_STEPS - 16) / len(ORDER)
    for i in range(len(ORDER)):
        passed = i < machine.steps_done
        here = i == machine.steps_done and machine.state not in {JobState.QUEUED, JobState.DONE}
        kind = "good" if passed else tone if here else "card"
        p.box(X_STEPS + i * wide, y + 5, wide - 3, ROW - 10, kind, round_=2)
    cause = f": {machine.cause}" if machine.cause else ""
    p.text(X_WORD, y + 15, f"{machine.word}{cause}", tone, size=12, room=WIDE - X_WORD - 16)
