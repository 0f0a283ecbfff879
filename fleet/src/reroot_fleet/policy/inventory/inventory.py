"""An inventory, read and checked as a whole: hosts, or every mistake at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reroot_fleet.policy.inventory import ansible_ini, ansible_yaml, csv_file
from reroot_fleet.policy.inventory.fields import SECRETS, Bad, to_host
from reroot_fleet.policy.inventory.mention import Mentions, Var
from reroot_fleet.values.host import Host
from reroot_fleet.values.problem import Place, Problem, Problems

IMPLICIT = frozenset({"all", "ungrouped"})


@dataclass(frozen=True, slots=True)
class Inventory:
    """Machines, in the order of the file."""

    hosts: tuple[Host, ...]
    notes: tuple[str, ...] = ()
    """What to know although nothing is wrong."""


def read_inventory(text: str, file: str) -> Inventory:
    """The machines of an inventory; by its name a CSV, YAML, JSON or INI file.

    Raises `Problems` with every mistake.
    """
    mentions = _reader(text, file)(text, file)
    problems = list(mentions.problems)
    problems += _unknown_groups(mentions)
    hosts, parents = [], _parents(mentions)
    for name in mentions.hosts:
        try:
            variables, groups = _resolved(mentions, parents, name)
            hosts.append(to_host(name, variables, groups - IMPLICIT))
        except Bad as e:
            var = variables.get(e.variable)
            at = var.at if var else mentions.places[name]
            why = f"{e.variable}: {e}"
            problems.append(_problem(why, Place(at.file, at.line, name)))
    problems += _same_address(hosts, mentions)
    problems += _carried_by_itself(hosts, mentions)
    if not hosts and not problems:
        problems.append(_problem("it has no hosts", Place(file)))
    if problems:
        raise Problems(tuple(problems))
    return Inventory(tuple(hosts), tuple(_notes(hosts, mentions)))


def _reader(text: str, file: str) -> Callable[[str, str], Mentions]:
    suffix = file.rpartition(".")[2].lower()
    if suffix in {"csv", "tsv"}:
        return csv_file.read
    if suffix in {"yml", "yaml", "json"} or text.lstrip().startswith("{"):
        return ansible_yaml.read
    return ansible_ini.read


def _problem(why: str, at: Place) -> Problem:
    return Problem("read an inventory", why, at=at, intact="nothing was imported")


def _unknown_groups(mentions: Mentions) -> list[Problem]:
    found = []
    for name, group in mentions.groups.items():
        for child, at in group.children.items():
            known = mentions.groups.get(child)
            if child not in IMPLICIT and (known is None or not known.defined):
                found.append(
                    _problem(f"{name} has the child {child}, and no such group is there", at)
                )
        if not group.defined and name not in IMPLICIT and group.variables:
            found.append(
                _problem(f"variables of the group {name}, and no such group is there", group.at)
            )
    return found


def _parents(mentions: Mentions) -> Mapping[str, set[str]]:
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for name, group in mentions.groups.items():
        for child in group.children:
            parents[child].add(name)
    return parents


def _resolved(
    mentions: Mentions, parents: Mapping[str, set[str]], host: str
) -> tuple[dict[str, Var], set[str]]:
    """A host's variables as Ansible resolves them: all, then outer groups, then inner, then its own."""
    depth: dict[str, int] = {}
    level = {name for name, g in mentions.groups.items() if host in g.hosts}
    distance = 0
    while level and distance <= len(mentions.groups):
        depth |= dict.fromkeys(level, distance)
        level = {p for name in level for p in parents.get(name, ())}
        distance += 1
    depth.setdefault("all", distance + 1)
    variables: dict[str, Var] = {}
    for name in sorted(depth, key=lambda n: (n != "all", -depth[n], n)):
        if name in mentions.groups:
            variables |= mentions.groups[name].variables
    return variables | mentions.hosts[host], set(depth)


def _same_address(hosts: list[Host], mentions: Mentions) -> list[Problem]:
    first: dict[tuple[str, int, str | None], str] = {}
    found = []
    for host in hosts:
        key = (host.address, host.port, host.jump_host)
        other = first.setdefault(key, host.name)
        if other != host.name:
            at = mentions.places[host.name]
            why = (
                f"it has the address {host.address}:{host.port} of {other}: one machine, two names"
            )
            found.append(_problem(why, Place(at.file, at.line, host.name)))
    return found


def _carried_by_itself(hosts: list[Host], mentions: Mentions) -> list[Problem]:
    by_name = {h.name: h for h in hosts}
    found = []
    for host in hosts:
        seen: set[str] = set()
        to_see = list(host.carried_by)
        while to_see:
            name = to_see.pop()
            if name == host.name:
                at = mentions.places[host.name]
                why = "by its hypervisor and jump host it is carried by itself"
                found.append(_problem(why, Place(at.file, at.line, host.name)))
                break
            if name not in seen and name in by_name:
                seen.add(name)
                to_see.extend(by_name[name].carried_by)
    return found


def _notes(hosts: list[Host], mentions: Mentions) -> list[str]:
    notes = []
    names = {h.name for h in hosts}
    for what, of in (("hypervisor", "hypervisor"), ("jump host", "jump_host")):
        strange = sorted({v for h in hosts if (v := getattr(h, of)) and v not in names})
        if strange:
            notes.append(f"{what} {', '.join(strange)}: not in the inventory, counted by name only")
    told = sorted({k for own in mentions.hosts.values() for k in own if k in SECRETS})
    told += sorted({k for g in mentions.groups.values() for k in g.variables if k in SECRETS})
    if told:
        notes.append(f"{', '.join(dict.fromkeys(told))}: not read; ssh logs in by keys")
    return notes
