"""Thousands of models behind one question-and-answer function, with the faults of the way to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reroot_fleet.machine.faults import Fault
from reroot_fleet.machine.seam import Confirmation, Order
from reroot_fleet.simulation.fate import Odds, deal, draw
from reroot_fleet.simulation.model import Model, Pace
from reroot_fleet.values.findings import Finding, Verdict
from reroot_fleet.values.host import MachineClass
from reroot_fleet.values.machine_plan import MachinePlan
from reroot_fleet.values.machine_status import Mode

TIMEOUT_S = 20.0
"""How long a question to somebody silent takes."""
GREETING_S = 5.0
"""How long a banner is waited for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or a fault, and after how many of the day's seconds it comes."""

    after_s: float
    value: Any = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a test wants to know of a machine."""

    name: str
    accepted: tuple[tuple[float, str], ...]
    gos: int
    asked: int
    runs: tuple[str, ...]
    hooks: tuple[str, ...]


@dataclass(slots=True)
class World:
    """All machines."""

    models: dict[str, Model] = field(default_factory=dict)

    def ask(self, host: str, op: str, args: tuple[Any, ...], now: float) -> Reply:
        """One question to one machine."""
        model = self.models[host]
        p = model.pace
        if op == "hook":
            model.hooks.append(args[0])
            return Reply(0.0)
        if model.fate.wrong_key:
            return Reply(p.look, fault=Fault.HOST_KEY)
        if model.in_ram(now) is not None and op in {"greet", "look", "confirm"}:
            if op == "confirm":
                return Reply(p.look, Confirmation(known=False))
            return Reply(0.0) if op == "greet" else Reply(p.look, model.look(args[0], now))
        if not model.reachable(now):
            # Some networks say so at once, others let it time out, and some connections stay half open.
            kind = (Fault.REFUSED, Fault.SILENT, Fault.SILENT)[model.fate.seed % 3]
            long = GREETING_S if op == "greet" else TIMEOUT_S
            return Reply(p.look if kind is Fault.REFUSED else long, fault=kind)
        if model.flakes():
            kind = (Fault.REFUSED, Fault.SILENT, Fault.BROKEN)[model.asked % 3]
            if kind is Fault.BROKEN and op in {"go", "rehearse"}:
                # The worst of them: it was obeyed, and the answer was lost.
                self._obey(model, op, args, now)
            return Reply(p.look if kind is Fault.REFUSED else TIMEOUT_S, fault=kind)
        return self._obey(model, op, args, now)

    def _obey(self, model: Model, op: str, args: tuple[Any, ...], now: float) -> Reply:
        p, slow = model.pace, model.fate.pace
        match op:
            case "greet":
                return Reply(0.0)
            case "look":
                return Reply(p.look, model.look(args[0], now))
            case "check":
                return Reply(p.check * slow, _findings(model))
            case "plan":
                return Reply(p.check * slow, _plan(model, args[0]))
            case "copying":
                return Reply(p.copy * slow)
            case "copied":
                model.put(args[0])
                return Reply(0.0)
            case "go" | "rehearse":
                order: Order = args[0]
                mode = Mode.REINSTALL if op == "go" else Mode.REHEARSE
                return Reply(p.look, model.begin(order, mode, _consent(model, order.wishes), now))
            case "confirm":
                return Reply(p.look, model.confirm(args[0], now))
            case "clear":
                return Reply(p.look)
            case _:
                raise ValueError(op)

    def seen(self) -> tuple[Seen, ...]:
        """What happened to every machine."""
        return tuple(
            Seen(
                m.name,
                tuple(m.accepted),
                m.gos,
                m.asked,
                tuple(r.id for r in m.runs),
                tuple(m.hooks),
            )
            for m in self.models.values()
        )


def build(names: Iterable[str], *, seed: int, odds: Odds, pace: Pace, dealt: bool = False) -> World:
    """Machines with their fates drawn, each for itself, or dealt out."""
    some = list(names)
    fates = deal(seed, some, odds) if dealt else {n: draw(seed, n, odds) for n in some}
    return World({n: Model(n, fates[n], pace) for n in some})


def _consent(model: Model, wishes: Any) -> str:  # noqa: ANN401 - as it came
    return model.consent({"image": wishes.image, "entry": wishes.entry, "keep": wishes.keep})


def _findings(model: Model) -> tuple[Finding, ...]:
    if model.fate.refuses is None:
        return (Finding("memory", "Is there enough memory?", Verdict.PASS),)
    return (
        Finding(
            model.fate.refuses,
            "Is there enough memory?",
            Verdict.REFUSE,
            found="300 MiB are free, 600 MiB are needed",
            remedy="stop something",
        ),
    )


def _plan(model: Model, wishes: Any) -> MachinePlan:  # noqa: ANN401 - as it came
    return MachinePlan(
        run="",
        hostname=model.name,
        image=wishes.image,
        consent=_consent(model, wishes),
        entry=wishes.entry or "kexec",
        deadlines_s=model.pace.deadlines,
        machine_class=MachineClass(),
    )
