"""`reroot-fleet migrate`: bring the database to this release's schema."""

from __future__ import annotations

from reroot_fleet.memory import migrate as schema
from reroot_fleet.memory.database import connect
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Yes


def migrate(*, yes: Yes = False, as_json: AsJson = False) -> None:
    """Bring the database to this release's schema; conductors of the release before may go on."""
    memory = connect(fleet.settings().database)
    say.sure(f"Change the schema of {memory.where}? Make a backup first.", yes=yes)
    before, after = schema.upgrade(memory)
    line = (
        f"the schema of {memory.where} was {after} already"
        if before == after
        else f"brought the schema of {memory.where} from {before or 'nothing'} to {after}"
    )
    say.done(line, as_json=as_json, before=before, after=after)
