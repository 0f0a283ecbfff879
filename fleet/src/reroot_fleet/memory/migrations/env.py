"""Alembic's entry: run the migrations on the connection that `migrate` hands over."""

from alembic import context

from reroot_fleet.memory.migrate import VERSION_TABLE
from reroot_fleet.memory.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
# No transaction of its own: the caller's is around everything.
context.run_migrations()
