"""Machines from a CSV file: a header, then a line a machine.

Columns that the fleet knows are those of `fields.KNOWN`; every other one is a label. A column `groups`
has names parted by blanks.
"""

from __future__ import annotations

import csv
import io

from reroot_fleet.policy.inventory.fields import KNOWN, LABEL, PREFIX
from reroot_fleet.policy.inventory.mention import Mentions, Var
from reroot_fleet.values.problem import Place

ADDRESS = {"address": "ansible_host", "user": "ansible_user", "port": "ansible_port"}


def read(text: str, file: str) -> Mentions:
    """What such a file says."""
    mentions = Mentions()
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter)
    header: list[str] | None = None
    try:
        for row in rows:
            at = Place(file, rows.line_num)
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if header is None:
                header = _header(mentions, row, at)
            else:
                _row(mentions, header, row, at)
    except csv.Error as e:
        mentions.wrong("read a CSV file", str(e), Place(file, rows.line_num))
    return mentions


def _header(mentions: Mentions, row: list[str], at: Place) -> list[str]:
    header = [cell.strip().lower().replace(" ", "_") for cell in row]
    if "name" not in header:
        why = f"its first line has no column `name`, only {', '.join(header)}"
        mentions.wrong("read a CSV file", why, at)
    for name in {n for n in header if header.count(n) > 1}:
        mentions.wrong("read a CSV file", f"it has the column {name or '(empty)'} twice", at)
    return header


def _row(mentions: Mentions, header: list[str], row: list[str], at: Place) -> None:
    if "name" not in header:
        return
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
    host = cells["name"]
    where = Place(at.file, at.line, host or None)
    if len(row) != len(header):
        why = f"it has {len(row)} cells, and the first line has {len(header)}"
        mentions.wrong("read a line of a CSV file", why, where)
        return
    if host in mentions.hosts:
        why = f"it is there twice, first at {mentions.places[host]}"
        mentions.wrong("read a line of a CSV file", why, where)
        return
    mentions.host(host, at)
    for name, cell in cells.items():
        if not cell or name == "name":
            continue
        if name == "groups":
            for group in cell.split():
                mentions.group(group, at).hosts[host] = at
                mentions.groups[group].defined = True
        else:
            mentions.set(host, _variable(name), Var(cell, at))


def _variable(column: str) -> str:
    if column in ADDRESS:
        return ADDRESS[column]
    known = f"{PREFIX}{column}"
    return known if known in KNOWN else f"{PREFIX}{LABEL}{column}"
