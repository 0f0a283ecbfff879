"""The policy file: TOML, read into a `Policy`, with every mistake by its line.

What it does not say has the default of `values.policy`. A policy that can never start anything is a
mistake too, and is told before a night is made of it.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reroot_fleet.policy.windows import LOOK_AHEAD_DAYS, window_of
from reroot_fleet.values.policy import (
    HOURLY_CAP,
    Budget,
    CopyRule,
    Gate,
    Limits,
    Policy,
    Rehearsal,
    Waves,
    Weekday,
    WindowRule,
)
from reroot_fleet.values.problem import Place, Problem, Problems

ATTEMPTED = "read a policy"
HOOKS = ("drain", "undrain", "confirm", "restore")
TIME_WORDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
Read = Callable[[Any], Any]


def read_policy(text: str, file: str, *, today: date | None = None) -> Policy:
    """The policy of a file; raises `Problems` with every mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        line = re.search(r"at line (\d+)", str(e))
        at = Place(file, int(line[1]) if line else len(text.splitlines()))
        raise Problems((Problem(ATTEMPTED, f"it is no TOML: {e}", at=at),)) from e
    reader = _Reader(text, file)
    policy = reader.policy(document)
    if not reader.problems:
        for table, key, why in never_starts(policy, today):
            reader.wrong(table, key, why)
    if reader.problems:
        raise Problems(tuple(reader.problems))
    return policy


def never_starts(policy: Policy, today: date | None = None) -> Iterable[tuple[str, str, str]]:
    """Why nothing, or nothing further, could ever start under a policy: table, key, reason."""
    rule, limits, waves = policy.window, policy.limits, policy.waves
    if not rule.days:
        yield "window", "days", "it has no days: nothing can ever start"
    if rule.begins == rule.ends:
        why = f"it begins and ends at {rule.begins:%H:%M}: nothing can ever start"
        yield "window", "ends", f"{why}; for a whole day give 00:00 and 23:59"
    for key in ("total", "customer", "rack", "hypervisor", "image", "hour", "night"):
        if getattr(limits, key) < 1:
            yield "limits", key, f"it is {getattr(limits, key)}: nothing can ever start"
    for label, n in limits.per.items():
        if n < 1:
            yield "limits.per", label, f"it is {n}: nothing with that label can ever start"
    if not waves.ramp or min(waves.ramp, default=0) < 1:
        yield "waves", "ramp", "it has a wave of no machines: nothing behind it can ever start"
    if waves.canaries < 1:
        yield "waves", "canaries", "each class needs at least one canary"
    if waves.a_night < 1:
        yield "waves", "a_night", "it is less than 1: nothing but canaries can ever start"
    if rule.days and rule.begins != rule.ends:
        yield from _too_long(policy, today or date(2026, 1, 1))


def _too_long(policy: Policy, today: date) -> Iterable[tuple[str, str, str]]:
    days = (today + timedelta(days=n) for n in range(LOOK_AHEAD_DAYS))
    windows = [w for d in days if (w := window_of(policy.window, d)) is not None]
    longest = max((w.closes - w.opens for w in windows), default=timedelta(0))
    if not windows:
        yield "window", "never", "no night is left in the next year: nothing can ever start"
    elif policy.assumed_duration > longest:
        why = f"it is {_hours(policy.assumed_duration)}, and the longest window {_hours(longest)}"
        yield "", "assumed_duration", f"{why}: nothing can ever start"
    elif policy.waves.a_night > 1 and policy.gate.bake + policy.assumed_duration > longest:
        why = f"it is {_hours(policy.gate.bake)}, and the longest window {_hours(longest)}"
        yield "gate", "bake", f"{why}: no second wave can start in a night"


def _hours(length: timedelta) -> str:
    return f"{length.total_seconds() / 3600:g} h"


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.lines = text.splitlines()
        self.file = file
        self.problems: list[Problem] = []

    def policy(self, document: Mapping[str, Any]) -> Policy:
        own = dict(document)
        tables = {
            "window": self.table(own, "window", WindowRule(), WINDOW),
            "limits": self.limits(own),
            "waves": self.table(own, "waves", Waves(), WAVES),
            "gate": self.table(own, "gate", Gate(), GATE),
            "budget": self.table(own, "budget", Budget(), BUDGET),
            "copies": self.table(own, "copies", CopyRule(), COPIES),
            "hooks": self.hooks(own),
        }
        top = self.fields("", own, TOP)
        return dataclasses.replace(Policy(), **tables, **top)

    def limits(self, own: dict[str, Any]) -> Limits:
        table = own.get("limits")
        per = dict(table).pop("per", {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            own["limits"] = {k: v for k, v in table.items() if k != "per"}
        limits: Limits = self.table(own, "limits", Limits(), LIMITS)
        if not isinstance(per, dict):
            self.wrong("limits", "per", "it is no table of labels and numbers")
            return limits
        numbers = self.fields("limits.per", per, dict.fromkeys(per, _number))
        return dataclasses.replace(limits, per=numbers)

    def hooks(self, own: dict[str, Any]) -> dict[str, str]:
        table = own.pop("hooks", {})
        if not isinstance(table, dict):
            self.wrong("", "hooks", "it is no table")
            return {}
        return self.fields("hooks", table, dict.fromkeys(HOOKS, _path))

    def table(self, own: dict[str, Any], name: str, default: Any, known: Mapping[str, Read]) -> Any:  # noqa: ANN401
        table = own.pop(name, {})
        if not isinstance(table, dict):
            self.wrong("", name, f"it is no table: write [{name}]")
            return default
        return dataclasses.replace(default, **self.fields(name, table, known))

    def fields(
        self, table: str, own: Mapping[str, Any], known: Mapping[str, Read]
    ) -> dict[str, Any]:
        found = {}
        for key, value in own.items():
            if key not in known:
                self.wrong(table, key, f"there is no such key; there are {', '.join(known)}")
                continue
            try:
                found[key] = known[key](value)
            except ValueError as e:
                self.wrong(table, key, str(e))
        return found

    def wrong(self, table: str, key: str, why: str) -> None:
        name = f"{table}.{key}" if table else key
        at = Place(self.file, self.line(table, key))
        self.problems.append(Problem(ATTEMPTED, f"{name}: {why}", at=at))

    def line(self, table: str, key: str) -> int | None:
        """Where a key stands; else its table; TOML's own reader does not tell."""
        current, of_table = "", None
        for number, line in enumerate(self.lines, 1):
            bare = line.strip()
            if bare.startswith("["):
                current = bare.strip("[]").split("]")[0].strip()
                if current in {table, f"{table}.{key}".strip(".")}:
                    of_table = number
            elif current == table and re.match(rf"[\"']?{re.escape(key)}[\"']?\s*[=.]", bare):
                return number
        return of_table


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")  # noqa: TRY004
    if value < 0:
        raise ValueError(f"{value} is below zero")
    return value


def _hour(value: object) -> int:
    number = _number(value)
    if number > HOURLY_CAP:
        raise ValueError(f"{number} is above {HOURLY_CAP} an hour, which no policy can raise")
    return number


def _share(value: object) -> float:
    text = str(value)
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError(f"{value!r} is no share: give 0.03 or '3%'")
    return number


def _length(value: object) -> timedelta:
    found = re.fullmatch(r"\s*(\d+)\s*(s|min|h|d)\s*", str(value))
    if not found:
        raise ValueError(f"{value!r} is no length of time: give '90 s', '30 min', '2 h' or '7 d'")
    return timedelta(seconds=int(found[1]) * TIME_WORDS[found[2]])


def _clock(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        found = time.fromisoformat(str(value))
    except ValueError as e:
        raise ValueError(f"{value!r} is no time of day: give '22:00'") from e
    if found.tzinfo is not None:
        raise ValueError(f"{value!r} has a time zone: give it as `zone`")
    return found


def _zone(value: object) -> str:
    try:
        ZoneInfo(str(value))
    except (ValueError, OSError, KeyError) as e:
        raise ValueError(f"{value!r} is no time zone: give one as Europe/Berlin") from e
    return str(value)


def _days(value: object) -> frozenset[Weekday]:
    words = [str(w).lower()[:3] for w in value] if isinstance(value, list) else [""]
    for word in words:
        if word not in set(Weekday):
            raise ValueError(f"{value!r} are no days: give ['mon', 'tue']")
    return frozenset(Weekday(w) for w in words)


def _dates(value: object) -> frozenset[date]:
    found = set()
    for day in value if isinstance(value, list) else [value]:
        try:
            at = day if isinstance(day, date) else date.fromisoformat(str(day))
        except ValueError as e:
            raise ValueError(f"{day!r} is no date: give 2026-12-24") from e
        found.add(at.date() if isinstance(at, datetime) else at)
    return frozenset(found)


def _ramp(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list: give [5, 20, 100, 200]")  # noqa: TRY004
    return tuple(map(_number, value))


def _rehearsal(value: object) -> Rehearsal:
    if value not in set(Rehearsal):
        raise ValueError(f"{value!r} is none of {', '.join(Rehearsal)}")
    return Rehearsal(str(value))


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is no path from the root to a program")
    return value


WINDOW: dict[str, Read] = {
    "zone": _zone,
    "begins": _clock,
    "ends": _clock,
    "days": _days,
    "never": _dates,
}
LIMITS: dict[str, Read] = {
    "total": _number,
    "customer": _number,
    "rack": _number,
    "hypervisor": _number,
    "image": _number,
    "hour": _hour,
    "night": _number,
}
WAVES: dict[str, Read] = {"canaries": _number, "ramp": _ramp, "a_night": _number}
GATE: dict[str, Read] = {"bake": _length, "reverted": _number, "held": _number}
BUDGET: dict[str, Read] = {
    "holds_stop_class": _number,
    "holds_stop_night": _number,
    "reverted_pauses": _share,
}
COPIES: dict[str, Read] = {"at_once": _number, "kib_per_s": _number}
TOP: dict[str, Read] = {
    "name": str,
    "rehearsal": _rehearsal,
    "rehearsal_max_age": _length,
    "assumed_duration": _length,
    "start_within": _length,
}
