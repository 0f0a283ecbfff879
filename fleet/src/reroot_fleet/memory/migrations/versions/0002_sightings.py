"""How far a run was when it was looked at last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reroot_fleet.memory.columns import Utc

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table. Conductors of the release before do not know it, and go on."""
    op.create_table(
        "sightings",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=True),
        sa.Column("in_ram", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_sightings_job_jobs")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_sightings")),
    )
