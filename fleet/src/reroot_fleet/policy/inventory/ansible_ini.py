"""Ansible inventories in their INI form.

Sections `[group]`, `[group:children]`, `[group:vars]`; hosts with ranges (`web[01:20]`) and variables.
`group_vars/` and `host_vars/` are not read: `ansible-inventory --list` resolves them, and is read too.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator

from reroot_fleet.policy.inventory.mention import Mentions, Var
from reroot_fleet.values.problem import Place

SECTION = re.compile(r"^\[(?P<name>[^\]:]+)(?::(?P<kind>[^\]]+))?\]\s*(?:[#;].*)?$")
RANGE = re.compile(r"\[(?P<first>\w+):(?P<last>\w+)(?::(?P<step>\d+))?\]")
MOST = 100_000
"""Hosts of one range; more is a slip of the finger."""


def read(text: str, file: str) -> Mentions:
    """What such an inventory says."""
    mentions = Mentions()
    section, kind = "ungrouped", "hosts"
    for number, whole in enumerate(text.splitlines(), 1):
        line, at = whole.strip(), Place(file, number)
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section, kind = _section(mentions, line, at)
        elif kind == "children":
            mentions.group(section, at).children.setdefault(line.split("#")[0].strip(), at)
        elif kind == "vars":
            name, _, value = line.partition("=")
            mentions.group(section, at).variables[name.strip()] = Var(_bare(value), at)
        else:
            _host(mentions, section, line, at)
    return mentions


def _section(mentions: Mentions, line: str, at: Place) -> tuple[str, str]:
    found = SECTION.match(line)
    kind = (found["kind"] or "hosts") if found else ""
    if found is None or kind not in {"hosts", "children", "vars"}:
        mentions.wrong("read an inventory", f"{line!r} is no section of an inventory", at)
        return "ungrouped", "hosts"
    group = mentions.group(found["name"], at)
    group.defined |= kind in {"hosts", "children"}
    return found["name"], kind


def _host(mentions: Mentions, section: str, line: str, at: Place) -> None:
    try:
        pattern, *pairs = shlex.split(line, comments=True)
    except ValueError as e:
        mentions.wrong("read a host of an inventory", f"{line!r}: {e}", at)
        return
    try:
        names = list(expand(pattern))
    except ValueError as e:
        mentions.wrong("read a host of an inventory", f"{pattern!r}: {e}", at)
        return
    group = mentions.group(section, at)
    for name in names:
        if name in group.hosts:
            mentions.wrong(
                "read an inventory",
                f"it is in the group {section} twice, first at {group.hosts[name]}",
                Place(at.file, at.line, name),
            )
        group.hosts[name] = at
        mentions.host(name, at)
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if equals:
                mentions.set(name, key, Var(value, at))
            else:
                mentions.wrong(
                    "read a host of an inventory",
                    f"{pair!r} is no NAME=VALUE",
                    Place(at.file, at.line, name),
                )


def expand(pattern: str) -> Iterator[str]:
    """The names that a pattern with ranges stands for; raises `ValueError`."""
    found = RANGE.search(pattern)
    if found is None:
        if set("[]") & set(pattern):
            raise ValueError("its range is not of the form [FIRST:LAST]")
        yield pattern
        return
    for part in _range(found["first"], found["last"], int(found["step"] or 1)):
        yield from expand(pattern[: found.start()] + part + pattern[found.end() :])


def _range(first: str, last: str, step: int) -> list[str]:
    if first.isdigit() and last.isdigit():
        numbers = range(int(first), int(last) + 1, step or 1)
        if not 0 < len(numbers) <= MOST:
            raise ValueError(f"its range has {len(numbers)} names")
        return [str(n).zfill(len(first)) for n in numbers]
    letters = string.ascii_letters
    if first in letters and last in letters and len(first) == len(last) == 1 and first <= last:
        return list(letters[letters.index(first) : letters.index(last) + 1 : step or 1])
    raise ValueError("its range goes neither from number to number nor from letter to letter")


def _bare(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
