"""The flow of a machine: its steps, what becomes of the machine when one fails, where no stop reaches."""

from __future__ import annotations

from reroot_fleet.policy.drawing.svg import Picture, wrap
from reroot_fleet.values.atoms import DOES, ORDER, Atom

LEFT, BOX, HIGH, STEP, TOP = 24, 400, 46, 66, 84
RIGHT = 560
OUTCOMES: tuple[tuple[str, str, str, tuple[Atom, ...]], ...] = (
    ("refused", "a check said no; nothing was changed", "warn", (Atom.CHECK,)),
    (
        "withdrawn",
        "a halt, the window's end, a person; nothing was changed",
        "idle",
        (Atom.COPY, Atom.REHEARSE, Atom.DRAIN),
    ),
    (
        "reverted",
        "failed before the machine's commit point; the old OS is as it was; may be queued again",
        "warn",
        (Atom.GO, Atom.ANSWER),
    ),
    (
        "held",
        "behind the commit point, or silent past its deadlines: a person is paged, and nobody says go again",
        "bad",
        (Atom.ANSWER, Atom.CONFIRM),
    ),
    ("done", "the new OS is in place and confirmed", "good", (Atom.RELEASE,)),
)
"""Where a job may end, in which words, and behind which steps the way there is drawn."""


def flow_svg() -> str:
    """The flow as a picture."""
    names = ", ".join(ORDER)
    ends = "; ".join(f"{name}: {why}" for name, why, _, _ in OUTCOMES)
    p = Picture(
        924, TOP + STEP * len(ORDER) + 10, "The flow of a machine", f"Steps: {names}. Ends: {ends}."
    )
    p.text(LEFT, 34, "The flow of a machine", size=18, bold=True)
    p.text(LEFT, 56, "Each step is tried again by its own pauses; whoever takes a job up", "soft")
    p.text(LEFT, 72, "goes on at the step that was not written down as done.", "soft")
    for i, atom in enumerate(ORDER):
        y = TOP + i * STEP
        p.box(LEFT, y, BOX, HIGH, "busy" if atom.before_go else "card", round_=6)
        p.text(LEFT + 12, y + 19, atom, size=14, bold=True)
        p.text(LEFT + 12, y + 37, DOES[atom], "soft", size=11.5, room=BOX - 20)
        if i + 1 < len(ORDER):
            p.path(f"M{LEFT + 40} {y + HIGH}V{y + STEP - 2}", tip=True)
    _line_of_no_return(p)
    for (name, why, tone, steps), at in zip(OUTCOMES, (0, 2, 4.5, 6.9, 9), strict=True):
        _outcome(p, name, why, tone, TOP + at * STEP + HIGH / 2, steps)
    return p.svg()


def _line_of_no_return(p: Picture) -> None:
    y = TOP + ORDER.index(Atom.GO) * STEP - 9
    p.path(f"M{LEFT - 12} {y}H{p.width - 24}", "bad")
    p.text(p.width - 24, y - 6, "from here on no stop reaches it", "bad", size=12, anchor="end")


def _outcome(
    p: Picture, name: str, why: str, tone: str, middle: float, steps: tuple[Atom, ...]
) -> None:
    lines = wrap(why, 312, 11.5)
    high = 28 + 15 * len(lines)
    top = middle - high / 2
    p.box(RIGHT, top, 336, high, tone, round_=6)
    p.text(RIGHT + 12, top + 19, name, tone, size=14, bold=True)
    for n, line in enumerate(lines):
        p.text(RIGHT + 12, top + 36 + 15 * n, line, size=11.5)
    for atom in steps:
        at = TOP + ORDER.index(atom) * STEP + HIGH / 2 + (8 if name == "held" else 0)
        bend = LEFT + BOX + 40 + 13 * ORDER.index(atom) % 60 + (30 if name == "held" else 0)
        solid = "edge" if atom is Atom.RELEASE else "edge dash"
        p.path(f"M{LEFT + BOX} {at}H{bend}V{middle}H{RIGHT - 3}", solid, tip=True)
