"""`reroot-fleet accept`: accept findings once, for every machine that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reroot_fleet.memory import surveys
from reroot_fleet.memory.surveys import Acceptance
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Why, Yes
from reroot_fleet.values.problem import Place, Problem

Codes = Annotated[list[str] | None, typer.Argument(help="Codes of checks, as `survey` shows them.")]
CodesFile = Annotated[
    Path | None, typer.Option("--file", help="A file of codes, one a line; `#` begins a comment.")
]


def accept(
    codes: Codes = None,
    *,
    file: CodesFile = None,
    reason: Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Accept findings for the whole fleet: a check that refuses by them is forced, with your name."""
    wanted = list(codes or [])
    if file is not None:
        wanted += _read(file)
    if not wanted:
        raise Problem("accept findings", "none was named", then="name codes, or give --file")
    say.sure(f"Accept {', '.join(wanted)} on every machine?", yes=yes)
    with fleet.memory().begin() as c:
        fleet.ordered(c, f"accept {' '.join(wanted)}", why=reason)
        new = [
            code
            for code in dict.fromkeys(wanted)
            if surveys.accept(c, Acceptance(code, fleet.now(), fleet.who(), reason))
        ]
    line = f"accepted {', '.join(new)}" if new else "all of them were accepted already"
    say.done(line, as_json=as_json, accepted=new)


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("read the findings", str(error), at=Place(str(file))) from error
    found = []
    for number, line in enumerate(lines, 1):
        code = line.partition("#")[0].strip()
        if " " in code:
            at = Place(str(file), number)
            raise Problem("read the findings", f"`{code}` is no code", at=at)
        if code:
            found.append(code)
    return found
