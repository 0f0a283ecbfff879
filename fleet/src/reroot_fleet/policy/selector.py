"""Which machines a person means.

A selector is a list of terms, parted by commas: a machine is meant if any term means it. A term is
a list of conditions, joined by `&`, all of which have to hold:

    NAME            a machine's name, or a pattern: web*, db?
    @GROUP          a group of the inventory
    LABEL=VALUE     customer, rack, hypervisor, image, firmware, storage, old_os, network_card or
                    any other label; the value may be a pattern
    !CONDITION      not so
    all             every machine; nothing else means that

An empty selector means nothing, a term that means nothing is an error, and so is a group or a label
that no machine has.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reroot_fleet.values.host import Host

_ATTRIBUTES = ("customer", "rack", "hypervisor", "jump_host", "image")
_CLASS = ("firmware", "storage", "old_os", "network_card")


def select(selector: str, hosts: Iterable[Host]) -> list[Host]:
    """The machines that are meant, in the order of the inventory."""
    every = list(hosts)
    meant: set[str] = set()
    for term in (t.strip() for t in selector.split(",")):
        if term:
            found = {h.name for h in every if all(_holds(c, h) for c in _conditions(term, every))}
            if not found:
                raise _wrong(selector, f"`{term}` means no machine")
            meant |= found
    return [h for h in every if h.name in meant]


def _conditions(term: str, hosts: list[Host]) -> list[str]:
    conditions = [c.strip() for c in term.split("&")]
    for condition in conditions:
        bare = condition.removeprefix("!").strip()
        if not bare:
            raise _wrong(term, "a condition is empty")
        if bare.startswith("@") and not any(bare[1:] in h.groups for h in hosts):
            raise _wrong(term, f"no machine is of a group {bare[1:]}")
        label = bare.partition("=")[0]
        if "=" in bare and not any(_label(h, label) is not None for h in hosts):
            raise _wrong(term, f"no machine has a label {label}")
    return conditions


def _holds(condition: str, host: Host) -> bool:
    if condition.startswith("!"):
        return not _holds(condition[1:].strip(), host)
    if condition == "all":
        return True
    if condition.startswith("@"):
        return condition[1:] in host.groups
    if "=" in condition:
        label, _, pattern = condition.partition("=")
        value = _label(host, label)
        return value is not None and fnmatchcase(value, pattern)
    return fnmatchcase(host.name, condition)


def _label(host: Host, label: str) -> str | None:
    if label in _ATTRIBUTES:
        value: str | None = getattr(host, label)
        return value
    if label in _CLASS:
        return str(getattr(host.machine_class, label))
    return host.labels.get(label)


def _wrong(selector: str, why: str) -> Problem:
    return Problem(
        f"select machines by `{selector}`",
        why,
        then="give names, patterns, @GROUP, LABEL=VALUE, joined by & and parted by commas, or all",
    )
