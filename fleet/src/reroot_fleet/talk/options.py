"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Why = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the event.")]
NightId = Annotated[str | None, typer.Argument(help="The night; the only live one by default.")]
Selector = Annotated[
    str,
    typer.Argument(
        help="Machines: names, patterns, @GROUP, LABEL=VALUE, joined by & and parted by commas; or all."
    ),
]
