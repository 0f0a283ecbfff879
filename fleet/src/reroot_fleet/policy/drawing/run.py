"""One machine's run: every step with its time, how often it was tried, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from reroot_fleet.policy.drawing.svg import Picture, wrap
from reroot_fleet.policy.timeline import Result, StepSpan, short
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.job import Job, JobState

WIDE, NAME, FROM, TO, ROW, TOP = 900, 24, 130, 640, 34, 96
TONES: dict[Result, str] = {
    Result.AHEAD: "idle",
    Result.RUNNING: "busy",
    Result.DONE: "good",
    Result.RETRIED: "warn",
    Result.FAILED: "bad",
    Result.REVERTED: "warn",
}
ENDS: dict[JobState, str] = {
    JobState.DONE: "good",
    JobState.HELD: "bad",
    JobState.REVERTED: "warn",
    JobState.REFUSED: "warn",
    JobState.RESTORED: "warn",
}


def run_svg(job: Job, spans: Sequence[StepSpan], now: datetime, zone: str = "UTC") -> str:
    """A job's run as a picture, from its timeline."""
    begun = [s.begun for s in spans if s.begun]
    first = min(begun, default=job.posted_at or now)
    ends = [s.ended for s in spans if s.ended] + [job.ended_at]
    last = max([e for e in ends if e is not None] + ([] if job.state.ended else [now]), default=now)
    scale = _Scale(first, max(last, first + timedelta(seconds=60)), ZoneInfo(zone))
    cause = wrap(job.cause, WIDE - 60, 12, most=2) if job.cause else []
    height = TOP + ROW * len(spans) + 40 + 17 * len(cause)
    words = "; ".join(f"{s.atom}: {_outcome(s, now)}" for s in spans)
    p = Picture(WIDE, height, f"{job.host}: {job.state}", f"{words}. {job.cause or ''}")
    tone = ENDS.get(job.state, "busy" if job.state.active else "idle")
    p.text(NAME, 34, job.host, size=18, bold=True, room=520)
    p.text(WIDE - 24, 34, str(job.state), tone, size=18, bold=True, anchor="end")
    about = f"night {job.night}, attempt {job.attempt}" + (f", run {job.run}" if job.run else "")
    p.text(NAME, 56, about, "soft", room=WIDE - 48)
    _axis(p, scale, len(spans))
    for i, span in enumerate(spans):
        _row(p, span, scale, TOP + i * ROW, now)
    _go(p, job, scale, len(spans))
    for n, line in enumerate(cause):
        p.text(NAME, TOP + ROW * len(spans) + 30 + 17 * n, line, tone)
    return p.svg()


class _Scale:
    def __init__(self, first: datetime, last: datetime, zone: ZoneInfo) -> None:
        self.first, self.last, self.zone = first, last, zone

    def x(self, at: datetime) -> float:
        share = (at - self.first) / (self.last - self.first)
        return FROM + (TO - FROM) * min(1.0, max(0.0, share))

    def ticks(self) -> list[datetime]:
        """Four to eight round moments."""
        length = (self.last - self.first).total_seconds()
        step = next((s for s in STEPS if length / s <= 7), STEPS[-1])
        seconds = self.first.timestamp()
        at = datetime.fromtimestamp(seconds - seconds % step + step, self.first.tzinfo)
        found = []
        while at < self.last:
            found.append(at)
            at += timedelta(seconds=step)
        return found


STEPS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def _axis(p: Picture, scale: _Scale, rows: int) -> None:
    seconds = (scale.last - scale.first) < timedelta(minutes=5)
    for at in scale.ticks():
        x = scale.x(at)
        p.path(f"M{x:.1f} {TOP - 8}V{TOP + rows * ROW}", "line")
        clock = (
            f"{at.astimezone(scale.zone):%H:%M:%S}"
            if seconds
            else f"{at.astimezone(scale.zone):%H:%M}"
        )
        p.text(x, TOP - 12, clock, "soft", size=11, anchor="middle")


def _row(p: Picture, span: StepSpan, scale: _Scale, y: float, now: datetime) -> None:
    tone = TONES[span.result]
    p.text(
        NAME, y + 21, span.atom, "soft" if span.result is Result.AHEAD else "", bold=True, size=13
    )
    if span.begun is not None:
        x, end = scale.x(span.begun), scale.x(span.ended or now)
        p.box(x, y + 6, max(3.0, end - x), ROW - 14, tone, round_=3)
    p.text(TO + 16, y + 21, _outcome(span, now), tone, room=WIDE - TO - 30)


def _outcome(span: StepSpan, now: datetime) -> str:
    if span.result is Result.AHEAD or span.begun is None:
        return "not begun"
    took = short((span.ended or now) - span.begun)
    tries = f", {span.tries} tries" if span.tries > 1 else ""
    if span.result is Result.DONE:
        return f"done in {took}{tries}"
    return f"{span.result} after {took}{tries}" if span.ended else f"{span.result}, {took}{tries}"


def _go(p: Picture, job: Job, scale: _Scale, rows: int) -> None:
    if job.go_at is None:
        return
    x = scale.x(job.go_at)
    p.path(f"M{x:.1f} {TOP - 4}V{TOP + rows * ROW}", "bad dash")
    side = "end" if x > (FROM + TO) / 2 else "start"
    shift = -6 if side == "end" else 6
    p.text(
        x + shift,
        TOP + rows * ROW + 12,
        f"{Atom.GO}: no stop reaches it from here",
        "bad",
        size=11,
        anchor=side,
    )
