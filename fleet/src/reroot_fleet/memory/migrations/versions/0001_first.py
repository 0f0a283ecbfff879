"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reroot_fleet.memory import append_only
from reroot_fleet.memory.columns import Counter, Document, Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, and the triggers that keep the events append-only."""
    op.create_table(
        "acceptances",
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("finding", name=op.f("pk_acceptances")),
    )
    op.create_table(
        "alerts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    op.create_table(
        "conductors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started", Utc(), nullable=False),
        sa.Column("seen", Utc(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_conductors")),
    )
    op.create_table(
        "events",
        sa.Column("id", Counter, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_host_id"), "events", ["host", "id"], unique=False)
    op.create_index(op.f("ix_events_job_id"), "events", ["job", "id"], unique=False)
    op.create_index(op.f("ix_events_night_id"), "events", ["night", "id"], unique=False)
    op.create_table(
        "images",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_images")),
    )
    op.create_index(op.f("ix_images_name_added"), "images", ["name", "added"], unique=False)
    op.create_table(
        "machines",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", Document, nullable=False),
        sa.Column("imported", Utc(), nullable=False),
        sa.Column("removed", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_machines")),
    )
    op.create_table(
        "nights",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opens", Utc(), nullable=False),
        sa.Column("closes", Utc(), nullable=False),
        sa.Column("policy", Document, nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("stopped_classes", Document, nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("resumed_at", Utc(), nullable=True),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("changed", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nights")),
    )
    op.create_index(op.f("ix_nights_state_opens"), "nights", ["state", "opens"], unique=False)
    op.create_table(
        "turns",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turns")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("machine_class", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=True),
        sa.Column("override", Document, nullable=True),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("since", Utc(), nullable=True),
        sa.Column("posted_at", Utc(), nullable=True),
        sa.Column("go_at", Utc(), nullable=True),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("deadline", Utc(), nullable=True),
        sa.Column("deadlines_s", sa.Integer(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("conductor", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("again_at", Utc(), nullable=True),
        sa.ForeignKeyConstraint(["host"], ["machines.name"], name=op.f("fk_jobs_host_machines")),
        sa.ForeignKeyConstraint(["night"], ["nights.id"], name=op.f("fk_jobs_night_nights")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("night", "host", "attempt", name=op.f("uq_jobs_night_host_attempt")),
    )
    op.create_index(op.f("ix_jobs_host"), "jobs", ["host"], unique=False)
    op.create_index(op.f("ix_jobs_night_state"), "jobs", ["night", "state"], unique=False)
    op.create_index(op.f("ix_jobs_state_again_at"), "jobs", ["state", "again_at"], unique=False)
    op.create_index(
        "uq_jobs_live_host",
        "jobs",
        ["host"],
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'posted', 'running')"),
        sqlite_where=sa.text("state IN ('queued', 'posted', 'running')"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", Counter, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("detail", Document, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["alerts.key"], name=op.f("fk_outbox_key_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_at"), "outbox", ["at"], unique=False)
    op.create_index(op.f("ix_outbox_key_id"), "outbox", ["key", "id"], unique=False)
    op.create_table(
        "rehearsals",
        sa.Column("id", Counter, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.ForeignKeyConstraint(
            ["host"], ["machines.name"], name=op.f("fk_rehearsals_host_machines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsals")),
    )
    op.create_index(
        op.f("ix_rehearsals_host_image_consent_at"),
        "rehearsals",
        ["host", "image", "consent", "at"],
        unique=False,
    )
    op.create_table(
        "surveys",
        sa.Column("id", Counter, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("may_go", sa.Boolean(), nullable=False),
        sa.Column("codes", Document, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("deadlines_s", sa.Integer(), nullable=True),
        sa.Column("machine_class", sa.Text(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["machines.name"], name=op.f("fk_surveys_host_machines")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
    )
    op.create_index(
        op.f("ix_surveys_host_image_id"), "surveys", ["host", "image", "id"], unique=False
    )
    op.create_table(
        "deliveries",
        sa.Column("message", Counter, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent", Utc(), nullable=True),
        sa.Column("not_before", Utc(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message"], ["outbox.id"], name=op.f("fk_deliveries_message_outbox")
        ),
        sa.PrimaryKeyConstraint("message", "channel", name=op.f("pk_deliveries")),
    )
    op.create_table(
        "flow_records",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("unfinished", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_flow_records")),
    )
    for statement in append_only.statements(op.get_bind().dialect.name):
        op.execute(statement)
