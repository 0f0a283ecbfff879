"""The report as Markdown and as HTML: both of the same parts, so that neither says more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from reroot_fleet.policy.causes import Cause
from reroot_fleet.policy.report import Report, Row
from reroot_fleet.policy.timeline import short
from reroot_fleet.policy.why import next_step
from reroot_fleet.values.job import JobState

SHOWN = 12
"""Hosts of a cause that are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `tones` gives rows a colour beside their words."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[str, ...] = ()


Part = str | Table
"""A paragraph, or a table."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: tuple[Part, ...]
    tone: str = ""


def sections(r: Report) -> tuple[Section, ...]:
    """The report's sections; one that has nothing to say is left out."""
    zone = ZoneInfo(r.night.policy.window.zone)
    found = [
        _causes("Needs a person now", r.needs_a_person, "bad"),
        _causes("Failed, the old OS as it was", r.failed, "warn"),
        _causes("Refused by a check", r.refused, "warn"),
        _causes("Withdrawn", r.left_over, ""),
        _numbers(r, zone),
        _rows("By wave", r.waves),
        _rows("By class of machine", r.classes),
        _rows("By customer", r.customers),
        Section("Special cases", (Table(("machine", "what and why"), r.special),))
        if r.special
        else None,
        _log(r, zone),
    ]
    return tuple(s for s in found if s is not None)


def _causes(title: str, causes: Sequence[Cause], tone: str) -> Section | None:
    if not causes:
        return None
    rows = tuple((str(len(c.jobs)), c.what, _names(c.hosts), _next(c)) for c in causes)
    head = ("machines", "cause", "which", "do next")
    return Section(title, (Table(head, rows, (tone,) * len(rows)),), tone)


def _next(cause: Cause) -> str:
    host = cause.hosts[0] if len(cause.hosts) == 1 else "HOST"
    return " / ".join(dict.fromkeys(next_step(host, s) for s in cause.states))


def _names(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else ""
    return ", ".join(hosts[:SHOWN]) + more


def _numbers(r: Report, zone: ZoneInfo) -> Section:
    rows = [
        ("window", f"{_clock(r.night.window.opens, zone)} to {_clock(r.night.window.closes, zone)}")
    ]
    if r.began is not None:
        ended = f" to {_clock(r.ended, zone)}" if r.ended else ""
        rows.append(("machines were let go and ended", f"{_clock(r.began, zone)}{ended}"))
    if r.first_attempts:
        share = r.first_failures / r.first_attempts
        words = f"{r.first_failures} of {r.first_attempts} ({share:.1%})"
        rows.append(("failed at the first attempt", words))
    rows += [(f"from go to done, {name}", short(length)) for name, length in r.times.items()]
    rows.append(("policy", r.night.policy.name))
    return Section("Numbers", (Table(("what", "how much"), tuple(rows)),))


def _rows(title: str, rows: Sequence[Row]) -> Section | None:
    if len(rows) < 1:
        return None
    states = [s for s in JobState if any(row.counts.get(s) for row in rows)]
    head = ("", "machines", *(str(s) for s in states), "median from go to done")
    body = tuple(
        (
            row.name,
            str(row.total),
            *(str(row.counts.get(s, 0) or "–") for s in states),
            short(row.median) if row.median is not None else "–",
        )
        for row in rows
    )
    tones = tuple("bad" if row.counts.get(JobState.HELD) else "" for row in rows)
    return Section(title, (Table(head, body, tones),))


def _log(r: Report, zone: ZoneInfo) -> Section | None:
    if not r.log:
        return None
    rows = tuple((_clock(line.at, zone), line.who, line.text) for line in r.log)
    return Section("What people and the budget did", (Table(("when", "who", "what"), rows),))


def _clock(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else "–"


def _title(r: Report) -> str:
    return f"Night {r.night.id}"


def _made(r: Report) -> str:
    zone = r.night.policy.window.zone
    return f"Made at {_clock(r.made, ZoneInfo(zone))}; times are of {zone}."


def markdown(r: Report) -> str:
    """The report as Markdown."""
    out = [f"# {_title(r)}", "", f"**{r.headline}**", ""]
    for section in sections(r):
        out += [f"## {section.title}", ""]
        for part in section.parts:
            out += [*([part] if isinstance(part, str) else _markdown_table(part)), ""]
    return "\n".join([*out, _made(r), ""])


def _markdown_table(table: Table) -> Iterable[str]:
    def row(cells: Iterable[str]) -> str:
        return (
            f"| {' | '.join(c.replace('|', chr(92) + '|').replace(chr(10), ' ') for c in cells)} |"
        )

    yield row(table.head)
    yield row("---" for _ in table.head)
    yield from map(row, table.rows)


STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1e24; --soft: #5b6572; --line: #d8dde3;
  --bad: #b3202a; --bad-ground: #fde4e4; --warn: #8a5a00; --good: #1a7438; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161b; --ink: #e7ebf0; --soft: #9aa5b3;
  --line: #323a45; --bad: #ff8f8f; --bad-ground: #4a171b; --warn: #f2c265; --good: #74d493; } }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.2rem 3rem; background: var(--ground);
  color: var(--ink); font: 16px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { margin: .2rem 0; } h2 { margin: 1.8rem 0 .4rem; font-size: 1.15rem; }
h2.bad { color: var(--bad); } h2.warn { color: var(--warn); }
.headline { font-size: 1.2rem; border-left: 6px solid var(--good); padding: .3rem 1rem; }
.headline.bad { border-color: var(--bad); background: var(--bad-ground); }
.headline.warn { border-color: var(--warn); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-top: 1px solid var(--line);
  overflow-wrap: break-word; } thead th { color: var(--soft); border-top: 0; white-space: nowrap; }
tr.bad td:first-child { border-left: 4px solid var(--bad); }
tr.warn td:first-child { border-left: 4px solid var(--warn); }
code { font-size: .92em; } footer { margin-top: 2rem; color: var(--soft); }
@media (max-width: 40rem) { body { padding: .6rem; } th, td { padding: .25rem .4rem; } }
@media print { .scroll { overflow: visible; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def html(r: Report) -> str:
    """The report as one HTML file: no script, nothing fetched, dark where the reader's screen is."""
    tone = "bad" if r.needs_a_person else "warn" if r.failed else ""
    body = [
        f"<h1>{escape(_title(r))}</h1>",
        f'<p class="headline {tone}">{escape(r.headline)}</p>',
    ]
    for section in sections(r):
        body.append(f'<h2 class="{section.tone}">{escape(section.title)}</h2>')
        body += [_html_part(part) for part in section.parts]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(r))}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + f"\n<footer>{escape(_made(r))}</footer>\n</body></html>\n"
    )


def _html_part(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{_code(part)}</p>"
    head = "".join(f"<th>{escape(c)}</th>" for c in part.head)
    tones = part.tones or ("",) * len(part.rows)
    rows = "\n".join(
        f'<tr class="{tone}">{"".join(f"<td>{_code(c)}</td>" for c in row)}</tr>'
        for row, tone in zip(part.rows, tones, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _code(text: str) -> str:
    """Escaped; what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
