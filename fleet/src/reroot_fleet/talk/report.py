"""`reroot-fleet report`: the morning after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reroot_fleet.page.drawings import of_night
from reroot_fleet.policy.report_text import html, markdown
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId
from reroot_fleet.values.problem import Place, Problem

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file, .md or .html, instead of stdout.")
]


def report(night: NightId = None, *, output: Output = None, as_json: AsJson = False) -> None:
    """Tell what became of a night, as Markdown or HTML: what failed is grouped by its cause."""
    if output is not None and output.suffix not in {".md", ".html"}:
        why = "its name ends in neither .md nor .html"
        raise Problem("write the report", why, at=Place(str(output)))
    with fleet.memory().read() as c:
        found = of_night(c, fleet.newest_night(c, night), fleet.now())
    if output is not None:
        text = html(found) if output.suffix == ".html" else markdown(found)
        output.write_text(text, encoding="utf-8")
        say.done(f"wrote the report to {output}", as_json=as_json, file=str(output))
    elif as_json:
        say.document(found)
    else:
        typer.echo(markdown(found))
