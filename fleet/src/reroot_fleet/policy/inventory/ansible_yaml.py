"""Ansible inventories in their YAML form, and what `ansible-inventory --list` prints.

Read as nodes and not as values, so that every mistake has its line.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from reroot_fleet.policy.inventory.ansible_ini import expand
from reroot_fleet.policy.inventory.mention import Mentions, Var
from reroot_fleet.values.problem import Place

Node = yaml.nodes.Node


def read(text: str, file: str) -> Mentions:
    """What such an inventory says."""
    mentions = Mentions()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        at = Place(file, mark.line + 1 if mark else None)
        mentions.wrong(
            "read an inventory", f"it is no YAML: {getattr(e, 'problem', None) or e}", at
        )
        return mentions
    reader = _Reader(mentions, file)
    if root is None:
        return mentions
    top = {name: node for name, node, _ in reader.pairs(root, "an inventory")}
    if "_meta" in top:
        reader.listed(top)
    else:
        for name, node in top.items():
            reader.group(name, node)
    return mentions


class _Reader:
    def __init__(self, mentions: Mentions, file: str) -> None:
        self.mentions = mentions
        self.file = file

    def at(self, node: Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)

    def pairs(self, node: Node, what: str) -> Iterator[tuple[str, Node, Place]]:
        """The entries of a mapping; an empty one is none, anything else is a mistake."""
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(node, yaml.MappingNode):
            self.mentions.wrong("read an inventory", f"{what} is no mapping", self.at(node))
            return
        seen: dict[str, Place] = {}
        for key, value in node.value:
            name, at = str(key.value), self.at(key)
            if name in seen:
                self.mentions.wrong(
                    "read an inventory", f"{name} is in {what} twice, first at {seen[name]}", at
                )
            seen[name] = at
            yield name, value, at

    def group(self, name: str, node: Node) -> None:
        """`GROUP: {hosts: …, children: …, vars: …}`."""
        group = self.mentions.group(name, self.at(node))
        group.defined = True
        for part, value, at in self.pairs(node, f"the group {name}"):
            if part == "hosts":
                for pattern, own, where in self.pairs(value, f"the hosts of {name}"):
                    self._hosts(name, pattern, own, where)
            elif part == "children":
                for child, below, where in self.pairs(value, f"the children of {name}"):
                    group.children.setdefault(child, where)
                    self.group(child, below)
            elif part == "vars":
                for key, var, where in self.pairs(value, f"the variables of {name}"):
                    group.variables[key] = Var(_text(var), where)
            else:
                why = f"{part} of the group {name} is none of hosts, children, vars"
                self.mentions.wrong("read an inventory", why, at)

    def _hosts(self, group: str, pattern: str, own: Node, at: Place) -> None:
        try:
            names = list(expand(pattern))
        except ValueError as e:
            self.mentions.wrong("read a host of an inventory", f"{pattern!r}: {e}", at)
            return
        for name in names:
            self.mentions.groups[group].hosts[name] = at
            self.mentions.host(name, at)
            for key, var, where in self.pairs(own, f"the host {name}"):
                self.mentions.set(name, key, Var(_text(var), where))

    def listed(self, top: dict[str, Node]) -> None:
        """What `ansible-inventory --list` prints: groups, and every host's resolved variables."""
        for name, node in top.items():
            if name != "_meta":
                self._listed_group(name, node)
        meta = {part: value for part, value, _ in self.pairs(top["_meta"], "_meta")}
        if "hostvars" in meta:
            for host, own, _ in self.pairs(meta["hostvars"], "hostvars"):
                for key, var, where in self.pairs(own, f"the host {host}"):
                    self.mentions.set(host, key, Var(_text(var), where))
        # Here a group that is only named as a child is one without hosts.
        for group in list(self.mentions.groups.values()):
            for child, at in group.children.items():
                self.mentions.group(child, at).defined = True

    def _listed_group(self, name: str, node: Node) -> None:
        group = self.mentions.group(name, self.at(node))
        group.defined = True
        for part, value, _ in self.pairs(node, f"the group {name}"):
            for item in value.value if isinstance(value, yaml.SequenceNode) else ():
                members = group.hosts if part == "hosts" else group.children
                members[str(item.value)] = self.at(item)
                if part == "hosts":
                    self.mentions.host(str(item.value), self.at(item))


def _text(node: Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return ",".join(_text(n) for n in node.value)
    return ""
