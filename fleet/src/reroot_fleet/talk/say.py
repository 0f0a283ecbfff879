"""How commands talk: one line of what was done, or JSON; talk goes to stderr, data to stdout."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable


def done(line: str, *, as_json: bool, **data: object) -> None:
    """Say what was done."""
    if as_json:
        document({"did": line, **data})
    else:
        typer.echo(line)


def document(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, default=plain, indent=2))


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """A value that JSON does not know."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def sure(question: str, *, yes: bool) -> None:
    """Ask before something dangerous; where nobody can be asked, refuse."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem("ask before something dangerous", "nobody can be asked", then="give --yes")
    typer.confirm(question, abort=True, err=True)


def names(hosts: Iterable[str], most: int = 8) -> str:
    """Some names, and how many more."""
    every = list(hosts)
    shown = ", ".join(every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown


def count(number: int, thing: str) -> str:
    """`1 machine`, `2 machines`."""
    plural = thing[:-1] + "ies" if thing.endswith("y") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"
