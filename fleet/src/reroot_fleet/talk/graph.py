"""`reroot-fleet graph`: the flow, a machine's run, or the night's tree as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reroot_fleet.page import drawings
from reroot_fleet.policy.drawing.flow import flow_svg
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson
from reroot_fleet.values.problem import Place, Problem

Output = Annotated[Path, typer.Option("--output", "-o", help="The SVG file to write.")]


def graph(
    *,
    host: Annotated[str | None, typer.Option(help="Draw this machine's run.")] = None,
    night: Annotated[str | None, typer.Option(help="Draw this night's tree; `last` works.")] = None,
    output: Output,
    as_json: AsJson = False,
) -> None:
    """Draw the flow, or with --host a machine's run, or with --night the night's tree, as SVG."""
    if host is not None and night is not None:
        raise Problem("draw", "one picture at a time", then="give --host or --night")
    if host is None and night is None:
        drawn, what = flow_svg(), "the flow"
    else:
        with fleet.memory().read() as c:
            if host is not None:
                run = drawings.run(c, host, fleet.now())
                if run is None:
                    raise Problem("draw its run", "it was never queued", at=Place(host=host))
                drawn, what = run, f"the run of {host}"
            else:
                found = fleet.newest_night(c, None if night == "last" else night)
                drawn, what = drawings.tree(c, found, fleet.now()), f"the night {found.id}"
    output.write_text(drawn, encoding="utf-8")
    say.done(f"drew {what} to {output}", as_json=as_json, file=str(output))
