"""The tables of the fleet's memory, as this release knows them.

The migrations make them; a test compares the two. TaskFlow keeps its own tables in the same
database, under its own names, and this file knows nothing of them.
"""

from __future__ import annotations

import sqlalchemy as sa

from reroot_fleet.memory.columns import Counter, Document, Utc

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LIVE = ("queued", "posted", "running")

machines = sa.Table(
    "machines",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # A `Host`, written by `codec`.
    sa.Column("host", Document, nullable=False),
    sa.Column("imported", Utc, nullable=False),
    # An inventory named it once and does not any more; its events and jobs stay.
    sa.Column("removed", Utc),
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # Where the conductors find the file.
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("added", Utc, nullable=False),
    sa.Index(None, "name", "added"),
)

surveys = sa.Table(
    "surveys",
    metadata,
    sa.Column("id", Counter, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("host", sa.Text, sa.ForeignKey("machines.name"), nullable=False),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("may_go", sa.Boolean, nullable=False),
    # Codes of the checks that refused, and of what wants to be accepted first.
    sa.Column("codes", Document, nullable=False),
    # Why not, in the words of the check that refused first; empty where the machine may go.
    sa.Column("reason", sa.Text, nullable=False),
    # Of the plan: what is consented to, the sum of its deadlines, the machine's class.
    sa.Column("consent", sa.Text),
    sa.Column("deadlines_s", sa.Integer),
    sa.Column("machine_class", sa.Text, nullable=False),
    sa.Column("detail", Document, nullable=False),
    sa.Index(None, "host", "image", "id"),
)

rehearsals = sa.Table(
    "rehearsals",
    metadata,
    sa.Column("id", Counter, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("host", sa.Text, sa.ForeignKey("machines.name"), nullable=False),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("consent", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("detail", Document, nullable=False),
    sa.Index(None, "host", "image", "consent", "at"),
)

acceptances = sa.Table(
    "acceptances",
    metadata,
    # One finding, accepted once for every machine that has it.
    sa.Column("finding", sa.Text, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

nights = sa.Table(
    "nights",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("opens", Utc, nullable=False),
    sa.Column("closes", Utc, nullable=False),
    # A `Policy`, written by `codec`: a night is judged by what it was begun with.
    sa.Column("policy", Document, nullable=False),
    sa.Column("selector", sa.Text, nullable=False),
    # Keys of classes, sorted.
    sa.Column("stopped_classes", Document, nullable=False),
    sa.Column("cause", sa.Text),
    sa.Column("resumed_at", Utc),
    sa.Column("created", Utc, nullable=False),
    sa.Column("changed", Utc, nullable=False),
    sa.Index(None, "state", "opens"),
)

_LIVE_HOST = sa.text("state IN (" + ", ".join(f"'{state}'" for state in LIVE) + ")")

# What the events of a job come to; `jobs.record` writes both in one transaction.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("night", sa.Text, sa.ForeignKey("nights.id"), nullable=False),
    sa.Column("host", sa.Text, sa.ForeignKey("machines.name"), nullable=False),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("machine_class", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("wave", sa.Integer),
    # An `Override`, written by `codec`.
    sa.Column("override", Document),
    sa.Column("flow", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("step", sa.Text),
    sa.Column("since", Utc),
    sa.Column("posted_at", Utc),
    sa.Column("go_at", Utc),
    sa.Column("ended_at", Utc),
    sa.Column("deadline", Utc),
    sa.Column("deadlines_s", sa.Integer),
    sa.Column("run", sa.Text),
    sa.Column("consent", sa.Text),
    sa.Column("cause", sa.Text),
    sa.Column("conductor", sa.Text),
    # Of a step that failed: how often it was tried, and when it may be again.
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("again_at", Utc),
    sa.UniqueConstraint("night", "host", "attempt"),
    sa.Index(None, "night", "state"),
    sa.Index(None, "state", "again_at"),
    sa.Index(None, "host"),
    # A job in one of these states may still touch its machine: one a machine, over all nights.
    sa.Index(
        "uq_jobs_live_host",
        "host",
        unique=True,
        postgresql_where=_LIVE_HOST,
        sqlite_where=_LIVE_HOST,
    ),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", Counter, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    # Without foreign keys: the log outlives what it tells of.
    sa.Column("night", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("job", sa.Text),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("detail", Document, nullable=False),
    sa.Index(None, "night", "id"),
    sa.Index(None, "host", "id"),
    sa.Index(None, "job", "id"),
)

alerts = sa.Table(
    "alerts",
    metadata,
    # Stable: the same trouble has the same key, whoever sees it and however often.
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("changed", Utc, nullable=False),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Counter, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("key", sa.Text, sa.ForeignKey("alerts.key"), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("night", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("detail", Document, nullable=False),
    sa.Index(None, "key", "id"),
    sa.Index(None, "at"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("message", Counter, sa.ForeignKey("outbox.id"), primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("sent", Utc),
    sa.Column("not_before", Utc),
    sa.Column("error", sa.Text),
)

conductors = sa.Table(
    "conductors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started", Utc, nullable=False),
    sa.Column("seen", Utc, nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("running", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)

# What a conductor saw last of a run that goes on: shown to people, and nothing follows from it. Jobs are
# folds of the log, and have none of it: a look a minute at each machine is no event.
sightings = sa.Table(
    "sightings",
    metadata,
    sa.Column("job", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("percent", sa.Integer),
    sa.Column("in_ram", sa.Boolean, nullable=False),
)

# Rows to lock while something may be done by one only, such as deciding which jobs are posted.
turns = sa.Table("turns", metadata, sa.Column("name", sa.Text, primary_key=True))

# What the engine has done of each job's flow, fenced by the epoch of its claim; see `flow.records`.
flow_records = sa.Table(
    "flow_records",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    # Raised by every claim; a write that names another one is refused.
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    # Something is to be done for it yet, also where the job itself was ended by a halt: what it took
    # out of a load balancer has to go back.
    sa.Column("unfinished", sa.Boolean, nullable=False),
    # The engine's flow and atoms.
    sa.Column("document", sa.Text),
    # What the steps themselves have to remember.
    sa.Column("notes", sa.Text, nullable=False),
)
