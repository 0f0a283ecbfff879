"""What happened: the append-only log. A job's state is a fold of its events (`policy.fold`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class What(StrEnum):
    """The names of events; the log keeps them for ever."""

    # a job's life
    JOB_QUEUED = "job-queued"
    """detail: image, attempt, class (its key), flow, override, deadlines_s"""
    JOB_POSTED = "job-posted"
    """detail: wave, posting"""
    JOB_CLAIMED = "job-claimed"
    """detail: conductor"""
    JOB_ABANDONED = "job-abandoned"
    """Its claim ended with its conductor; another takes it up. detail: conductor"""
    STEP_BEGUN = "step-begun"
    """detail: step, try"""
    STEP_DONE = "step-done"
    """detail: step, seconds"""
    STEP_FAILED = "step-failed"
    """detail: step, try, error, again_at (absent: no further try)"""
    STEP_REVERTED = "step-reverted"
    """detail: step"""
    PLAN_KNOWN = "plan-known"
    """detail: deadlines_s, consent, class (its key)"""
    GO_INTENDED = "go-intended"
    """Recorded before `go` is said. detail: run, after, consent, deadline"""
    GO_ACCEPTED = "go-accepted"
    """The machine began the run. detail: run, attached (bool)"""
    GO_REFUSED = "go-refused"
    """The machine's fence or a check said no. detail: exit_status, newest"""
    MACHINE_SILENT = "machine-silent"
    """No OS answers any more. detail: place (`ram`: the RAM environment does)"""
    MACHINE_ANSWERED = "machine-answered"
    """detail: boot, os, state"""
    JOB_LATE = "job-late"
    """Past its deadline. detail: deadline"""
    JOB_DONE = "job-done"
    JOB_REVERTED = "job-reverted"
    """detail: cause"""
    JOB_REFUSED = "job-refused"
    """detail: cause, codes"""
    JOB_HELD = "job-held"
    """detail: cause"""
    JOB_TAKEN_UP = "job-taken-up"
    """It was held, and its machine answers after all: its flow goes on where it stood. detail: evidence"""
    JOB_WITHDRAWN = "job-withdrawn"
    """detail: cause"""
    JOB_RESTORED = "job-restored"
    """detail: cause"""
    # a night's life
    NIGHT_PLANNED = "night-planned"
    NIGHT_OPENED = "night-opened"
    NIGHT_PAUSED = "night-paused"
    """detail: cause"""
    NIGHT_RESUMED = "night-resumed"
    NIGHT_HALTED = "night-halted"
    """detail: cause"""
    NIGHT_CLOSED = "night-closed"
    CLASS_STOPPED = "class-stopped"
    """detail: class (its key), cause"""
    GATE_PASSED = "gate-passed"
    """detail: image, wave"""
    # people
    HOST_IMPORTED = "host-imported"
    HOST_CHANGED = "host-changed"
    HOST_REMOVED = "host-removed"
    FINDING_ACCEPTED = "finding-accepted"
    OPERATOR_COMMAND = "operator-command"
    """detail: command"""
    ALERT_RAISED = "alert-raised"
    """detail: key"""
    ALERT_ACKNOWLEDGED = "alert-acknowledged"
    ALERT_RESOLVED = "alert-resolved"
    SURVEYED = "surveyed"
    """detail: may_go, codes, class"""
    NOTE = "note"
    """detail: text"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log."""

    at: datetime
    """UTC."""
    who: str
    """An operator's name, or `conductor NAME`."""
    what: What
    night: str | None = None
    host: str | None = None
    job: str | None = None
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Small, JSON, and without secrets."""
    number: int | None = None
    """Its place in the log; given by the memory."""
