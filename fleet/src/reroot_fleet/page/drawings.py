"""What is drawn for the page: the report, the night's tree, a machine's run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.values.night import Night


def report(c: Connection, night: Night, now: datetime) -> str:
    """The morning after, as HTML."""
    del c, now
    return f"<!doctype html><title>{escape(night.id)}</title>"


def tree(c: Connection, night: Night, now: datetime) -> str:
    """The night as a tree, as SVG."""
    del c, night, now
    return '<svg xmlns="http://www.w3.org/2000/svg"/>'


def run(c: Connection, host: str, now: datetime) -> str | None:
    """One machine's newest run, as SVG."""
    del c, host, now
    return '<svg xmlns="http://www.w3.org/2000/svg"/>'
